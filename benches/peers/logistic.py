"""Logistic regression: CPU seconds of scikit-learn and LIBLINEAR beside those of raphson.

    cargo build --release --all-features --example logistic
    pip install -r benches/peers/requirements.txt
    RAPHSON_DATA=folder python benches/peers/logistic.py > table.md

Files are named as arguments; without any, those of SETS in the folder `libsvm` of RAPHSON_DATA.
`--dense 20000x500` adds a generated dense problem.

All minimize f(w) = mean_i log(1 + exp(-y_i a_i'w)) + mu/2 |w|^2 without an intercept, from zero
(C = 1/(n mu) for the peers, whose f is n C times this one), until |g| <= TOL max(1, |g(0)|).
|g| is evaluated here, by numpy, at the point that each returns. The tolerance of a peer is
tightened by factors of ten until that holds, and the loosest that does is timed. One thread; CPU
seconds of the solve alone, data loaded, in whatever layout is best: scikit-learn is timed on
sparse and on dense data. A round runs every side once; a ratio is the median over the rounds of
peer / raphson within a round.
"""

import argparse
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402  (after the numbers of threads)
import scipy.sparse as sparse  # noqa: E402
from liblinear import liblinearutil  # noqa: E402
from sklearn.datasets import load_svmlight_file  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETS = ["a9a", "w8a", "mushrooms", "ijcnn1", "phishing", "reuters", "news20.split10"]
# Largest dense copy of the data, and largest d for which a d x d Hessian is formed.
DENSE_BYTES, NEWTON_FEATURES = 2 << 30, 5000
TIGHTEST = 1e-16
# Solves of raphson in a process of its own.
REPEAT = 5


class Problem:
    """The data, f and its gradient, independently of all solvers."""

    def __init__(self, path, mu):
        self.path, self.name = path, pathlib.Path(path).name.removesuffix(".gz")
        x, y = load_svmlight_file(str(path))
        self.x, self.n = x.tocsr(), x.shape[0]
        labels = np.unique(y)
        if len(labels) != 2:
            sys.exit(f"error: {path}: {len(labels)} labels, two are needed")
        self.y = np.where(y == labels[1], 1.0, -1.0)
        self.mu = 1.0 / self.n if mu == "1/n" else float(mu)
        self.c = 1.0 / (self.n * self.mu)
        self.target_scale = max(1.0, self.gradient_norm(np.zeros(x.shape[1])))

    def gradient_norm(self, w):
        z = self.y * (self.x @ w)
        sigma = np.where(z >= 0, np.exp(-np.abs(z)), 1.0) / (1.0 + np.exp(-np.abs(z)))
        g = -(self.x.T @ (self.y * sigma)) / self.n + self.mu * w
        return float(np.linalg.norm(g))

    def reached(self, norm, tol):
        # Two summations of a gradient differ by rounding.
        return norm <= (tol + 64 * np.finfo(float).eps) * self.target_scale


def timed(call):
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


class SklearnPeer:
    def __init__(self, problem, solver, dense):
        self.problem, self.solver = problem, solver
        self.name = f"scikit-learn {solver}, {'dense' if dense else 'sparse'}"
        self.x = np.asfortranarray(problem.x.toarray()) if dense else problem.x
        if dense and solver == "lbfgs":
            self.x = np.ascontiguousarray(self.x)

    def solve(self, tol):
        model = LogisticRegression(
            C=self.problem.c, fit_intercept=False, solver=self.solver, tol=tol, max_iter=100_000
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds, _ = timed(lambda: model.fit(self.x, self.problem.y))
        return seconds, model.coef_[0]


class LiblinearPeer:
    name = "LIBLINEAR -s 0"

    def __init__(self, problem):
        self.problem = problem
        self.data = liblinearutil.problem(problem.y, sparse.csr_matrix(problem.x))

    def solve(self, tol):
        options = f"-s 0 -c {self.problem.c!r} -e {tol!r} -B -1 -q"
        parameter = liblinearutil.parameter(options)
        seconds, model = timed(lambda: liblinearutil.train(self.data, parameter))
        w = np.array(model.w[: self.problem.x.shape[1]])
        # The weights belong to the first of its labels.
        return seconds, w * model.get_labels()[0]


class Raphson:
    """The example `logistic`, which reads the file itself and reports its solve alone.

    The peers have solved the problem in this process before they are timed, so it solves it
    several times too and reports the median.
    """

    def __init__(self, problem, solver, exe, tol):
        self.problem, self.name = problem, f"raphson {solver}"
        self.command = [
            str(exe), str(problem.path), "--solver", solver, "--mu", repr(problem.mu),
            "--tol", repr(tol), "--threads", "1", "--repeat", str(REPEAT),
        ]

    def solve(self, _):
        with tempfile.TemporaryDirectory() as folder:
            solution, report = f"{folder}/w", f"{folder}/json"
            outputs = ["--solution", solution, "--json", report]
            done = subprocess.run(self.command + outputs, capture_output=True, text=True)
            if done.returncode not in (0, 3):
                sys.exit(f"error: {' '.join(self.command)}: {done.stderr}")
            result = json.loads(pathlib.Path(report).read_text())
            return result["solve_cpu_seconds"], np.loadtxt(solution, ndmin=1)


def loosest(side, problem, tol):
    """The loosest tolerance with which the side reaches the target, and |g| there."""
    if isinstance(side, Raphson):
        return tol, problem.gradient_norm(side.solve(tol)[1])
    own, last, norm = 1e-5, [], np.inf
    # Six times the same point: another test of the peer's ends the run.
    while own >= TIGHTEST and last[-6:] != [norm] * 6:
        norm = problem.gradient_norm(side.solve(own)[1])
        last.append(norm)
        if problem.reached(norm, tol):
            return own, norm
        own /= 10
    return None, norm


def sides(problem, arguments):
    n, d = problem.x.shape
    fits = 8 * n * d <= DENSE_BYTES
    yield from (Raphson(problem, s, arguments.exe, arguments.tol) for s in arguments.solvers.split(","))
    if d <= NEWTON_FEATURES:
        yield SklearnPeer(problem, "newton-cholesky", False)
        if fits:
            yield SklearnPeer(problem, "newton-cholesky", True)
    yield SklearnPeer(problem, "lbfgs", False)
    if fits and problem.x.nnz > 0.1 * n * d:
        yield SklearnPeer(problem, "lbfgs", True)
    yield LiblinearPeer(problem)


def race(problem, arguments):
    """Rows of the table."""
    entered = []
    for side in sides(problem, arguments):
        own, norm = loosest(side, problem, arguments.tol)
        reached = problem.reached(norm, arguments.tol)
        entered.append((side, own, norm, reached))
        print(f"{problem.name}: {side.name}: |g| {norm:.1e} at tol {own}", file=sys.stderr)
    times = {side: [] for side, *_ in entered}
    for _ in range(arguments.repeat):
        for side, own, _, reached in entered:
            if reached:
                times[side].append(side.solve(own)[0])
    first = next((side for side, _, _, reached in entered if reached), None)
    for side, own, norm, reached in entered:
        if not reached:
            yield f"| {problem.name} | {side.name} | - | - | {norm:.1e} | not reached |"
            continue
        ratio = statistics.median(a / b for a, b in zip(times[side], times[first]))
        seconds = statistics.median(times[side])
        yield f"| {problem.name} | {side.name} | {seconds:.4g} | {ratio:.2f} | {norm:.1e} | {own:.0e} |"


def generated(shape, folder):
    """Gaussian rows and labels of a random linear model, as a LIBSVM file."""
    n, d = map(int, shape.split("x"))
    random = np.random.default_rng(0)
    x = random.standard_normal((n, d))
    p = 1 / (1 + np.exp(-(x @ random.standard_normal(d)) / np.sqrt(d)))
    y = np.where(random.random(n) < p, 1, -1)
    path = pathlib.Path(folder) / f"dense-{shape}.gz"
    with gzip.open(path, "wt", compresslevel=1) as out:
        for label, row in zip(y, x):
            out.write(f"{label} " + " ".join(f"{j}:{v:.6g}" for j, v in enumerate(row, 1)) + "\n")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="LIBSVM files, plain or gzip")
    parser.add_argument("--mu", default="1/n")
    parser.add_argument("--tol", type=float, default=1e-8)
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--solvers", default="fit,damped-newton", help="of raphson, separated by commas; ratios are to the first")
    parser.add_argument("--dense", action="append", default=[], metavar="NxD", help="adds a generated problem")
    parser.add_argument("--exe", default=ROOT / "target/release/examples/logistic")
    arguments = parser.parse_args()
    files = arguments.files
    if not files and not arguments.dense:
        if "RAPHSON_DATA" not in os.environ:
            sys.exit("error: name files, or the folder of data by RAPHSON_DATA")
        files = [pathlib.Path(os.environ["RAPHSON_DATA"]) / "libsvm" / f"{s}.gz" for s in SETS]
    print("| set | solver | CPU s | ratio | gradient norm | tolerance |")
    print("|---|---|--:|--:|--:|--:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        files = list(files) + [generated(shape, folder) for shape in arguments.dense]
        for path in files:
            for row in race(Problem(path, arguments.mu), arguments):
                print(row, flush=True)


if __name__ == "__main__":
    main()
