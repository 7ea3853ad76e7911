"""Counts of Sinkhorn-Newton on six kinds of problems at three values of eps, beside those of a plain implementation.

    cargo build --release --all-features --example transport
    pip install -r benches/peers/requirements.txt
    python benches/peers/counts.py

Prints a Markdown table. The plain implementation, in numpy, makes sweeps of two passes with exp each and sparsified Newton steps on
both potentials, down a ladder by halves, in double precision; its passes are twice its sweeps and its trials. Marginal error at
most 1e-11 in the 1-norm for both.
"""

import json
import os
import subprocess
import tempfile

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from transport import EXAMPLE

EPS = (1e-2, 1 / 1200, 1e-4)


def even(n):
    return np.full(n, 1 / n)


def random(n):
    return np.random.default_rng(0).random((n, n)), even(n), even(n)


def cloud(n, twins=False):
    rng = np.random.default_rng(0)
    x = rng.random((n, 2))
    y = x if twins else rng.random((n, 2)) * 0.7 + 0.2
    table = ((x[:, None] - y[None]) ** 2).sum(-1)
    return table / table.max(), even(n), even(n)


def digits(power, size=28, floor=1e-4):
    def masses(image):
        v = np.maximum(zoom(image, size / 8, order=1), 0).ravel()
        v = v / v.sum()
        v += floor * v.max()
        return v / v.sum()

    images = load_digits().images
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1).reshape(-1, 2).astype(float)
    table = (np.abs(grid[:, None] - grid[None]) ** power).sum(-1)
    return table / table.max(), masses(images[0]), masses(images[1])


def mixture(n, m):
    def normal(x, mean, width):
        return np.exp(-0.5 * ((x - mean) / width) ** 2) / width

    x, y = np.linspace(0, 5, n), np.linspace(0, 5, m)
    a, b = np.exp(-x), 0.2 * normal(y, 1, 0.2) + 0.8 * normal(y, 3, 0.5)
    table = (x[:, None] - y[None]) ** 2
    return table / table.max(), a / a.sum(), b / b.sum()


# Sweeps, Newton steps and trials of the plain implementation at each eps.
PROBLEMS = {
    "random, 500": (random(500), [(20, 2, 2), (35, 5, 5), (50, 12, 12)]),
    "cloud, 500": (cloud(500), [(20, 3, 3), (35, 4, 4), (50, 10, 10)]),
    "digits of 784 pixels, sql2": (digits(2), [(20, 3, 3), (35, 6, 6), (60, 16, 26)]),
    "digits of 784 pixels, l1": (digits(1), [(20, 6, 6), (45, 18, 29), (95, 29, 72)]),
    "mixture, 500 x 400": (mixture(500, 400), [(20, 5, 5), (35, 6, 6), (50, 8, 8)]),
    "twins, 300": (cloud(300, True), [(20, 3, 3), (35, 6, 6), (50, 9, 9)]),
}


def ours(table, a, b, eps):
    with tempfile.TemporaryDirectory() as place:
        files = [os.path.join(place, name) for name in ("cost", "source", "target")]
        for path, values in zip(files, (table, a, b)):
            np.savetxt(path, values, delimiter=",", fmt="%.17g")
        command = [EXAMPLE, "--cost", files[0], "--source", files[1], "--target", files[2], "--eps", repr(eps)]
        command += ["--tol", "1e-11", "--solver", "sinkhorn-newton", "--threads", "1", "--json", "-"]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["converged"] and found["marginal_error"] <= 1e-11, found
    return found


print("| problem | ε | sweeps, plain | Newton steps, plain | passes with exp, plain | CG, ours | seconds |")
print("|---|---|---|---|---|---|---|")
for name, (problem, plain) in PROBLEMS.items():
    for eps, (sweeps, steps, trials) in zip(EPS, plain):
        found = ours(*problem, eps)
        print(
            f"| {name} | {eps:.2g} | {found['sweeps']}, {sweeps} | {found['newton']}, {steps} "
            f"| {found['passes']}, {2 * sweeps + trials} | {found['cg_iterations']} | {found['solve_cpu_seconds']:.3g} |",
            flush=True,
        )
