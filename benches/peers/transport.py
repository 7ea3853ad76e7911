"""Entropic and exact optimal transport beside POT and RegOT.

Solves the same problems with the example `transport`, with POT's `sinkhorn` and `sinkhorn_log`, with RegOT's
`sinkhorn_ssns`, and, to a certified gap, beside POT's network simplex `emd2`. Prints a Markdown table of medians.

    cargo build --release --all-features --example transport
    pip install -r benches/peers/requirements.txt
    python benches/peers/transport.py > docs/benchmarks/transport.md

Problems: n uniform points of the unit square against n points of a smaller one, squared Euclidean or L1 cost,
divided by its maximum; equal masses. For the linear program also random costs, and the points against themselves in another order
under squared Euclidean cost. Sides alternate. Every run is a process of its own. Time is that of the solve alone, without
reading files: CPU seconds with one thread, wall seconds with more. POT and RegOT stop by the 2-norm of the marginal
error; they get 1e-9/sqrt(n), which implies 1e-9 in the 1-norm, the tolerance of ours. Errors are measured here, on the plan
that each side returns (ours reports its own).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

TOL = 1e-9
EXAMPLE = os.path.join(os.path.dirname(__file__), "../../target/release/examples/transport")


def problem(n, cost, seed=0):
    import numpy as np

    rng = np.random.default_rng(seed)
    if cost == "random":
        return rng.random((n, n)), np.full(n, 1 / n)
    x, y = rng.random((n, 2)), rng.random((n, 2)) * 0.7 + 0.2
    if cost == "twins":
        y = rng.permutation(x)
    d = x[:, None] - y[None]
    table = np.abs(d).sum(-1) if cost == "l1" else (d**2).sum(-1)
    return table / table.max(), np.full(n, 1 / n)


def worker(side, path, eps):
    """Runs one side in this process and prints what it took."""
    import warnings

    import numpy as np
    import ot
    import regot

    warnings.filterwarnings("ignore")
    cost = np.load(path)
    n = len(cost)
    mass = np.full(n, 1 / n)
    stop = TOL / np.sqrt(n)
    wall, cpu = time.perf_counter(), time.process_time()
    if side == "emd2":
        value = ot.emd2(mass, mass, cost, numItermax=10**8)
    elif side == "ssns":
        plan = regot.sinkhorn_ssns(cost, mass, mass, eps, tol=stop, max_iter=10**4).plan
    else:
        plan = ot.sinkhorn(mass, mass, cost, eps, method=side, stopThr=stop, numItermax=10**7)
    out = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    if side == "emd2":
        out["value"] = float(value)
    else:
        out["error"] = float(abs(plan.sum(1) - mass).sum() + abs(plan.sum(0) - mass).sum())
    print(json.dumps(out))


def ours(files, eps, threads, gap):
    command = [EXAMPLE, "--cost", files["cost"], "--source", files["mass"], "--target", files["mass"]]
    command += ["--threads", str(threads), "--json", "-"]
    command += ["--gap", str(gap)] if gap else ["--eps", str(eps), "--tol", str(TOL)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["converged"], found
    return {
        "cpu": found["solve_cpu_seconds"],
        "wall": found["solve_seconds"],
        "error": found["marginal_error"],
        "lower": found["lower"],
        "upper": found["upper"],
    }


def run(side, files, eps, threads, gap=None):
    if side == "ours":
        return ours(files, eps, threads, gap)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = dict(os.environ, **{name: str(threads) for name in names})
    command = [sys.executable, __file__, "--worker", side, files["npy"], str(eps)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        return {"cpu": float("nan"), "wall": float("nan"), "error": float("nan")}
    return json.loads(done.stdout)


def cell(runs, key):
    time_taken = statistics.median(r[key] for r in runs)
    error = max(r.get("error", 0.0) for r in runs)
    if not time_taken > 0:
        return "fails"
    return f"{time_taken:.3g}" if error <= TOL else f"{time_taken:.3g} (error {error:.0e})"


def model():
    with open("/proc/cpuinfo") as lines:
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def main(arguments):
    import numpy as np
    import ot

    print("# Optimal transport beside POT and RegOT\n")
    print("Made by `benches/peers/transport.py`, which says what is measured.")
    print(f"CPU: {model()}; POT {ot.__version__}, RegOT 0.0.3, numpy {np.__version__}.")
    print(f"Marginal error at most {TOL:.0e} in the 1-norm; medians of {arguments.repeat} alternating runs.")
    print("A dash is a run that was left out, for it would take minutes.")
    with tempfile.TemporaryDirectory() as place:
        paths = {}
        for n in arguments.sizes:
            for cost in ("sql2", "l1", "random", "twins"):
                table, mass = problem(n, cost)
                stem = os.path.join(place, f"{cost}{n}")
                np.save(stem + ".npy", table)
                np.savetxt(stem + ".csv", table, delimiter=",", fmt="%.17g")
                np.savetxt(stem + ".mass", mass, fmt="%.17g")
                paths[n, cost] = {"npy": stem + ".npy", "cost": stem + ".csv", "mass": stem + ".mass"}
        for threads in arguments.threads if arguments.eps else ():
            key = "cpu" if threads == 1 else "wall"
            unit = "CPU seconds, one thread" if key == "cpu" else f"Wall seconds, {threads} threads"
            sides = ["ours", "sinkhorn", "sinkhorn_log", "ssns"]
            print(f"\n## Entropic: {unit}\n")
            print("| n | cost | ε | ours | POT sinkhorn | POT sinkhorn_log | RegOT ssns | best peer / ours |")
            print("|---|---|---|---|---|---|---|---|")
            for (n, cost), files in paths.items():
                for eps in arguments.eps if cost in ("sql2", "l1") else ():
                    wanted = [s for s in sides if s == "ours" or s in arguments.peers]
                    wanted = [s for s in wanted if not left_out(s, n, eps, threads)]
                    runs = {s: [] for s in wanted}
                    for _ in range(arguments.repeat):
                        for s in wanted:
                            # A run of many seconds is not repeated.
                            if not runs[s] or runs[s][0][key] < 10:
                                runs[s].append(run(s, files, eps, threads))
                    cells = [cell(runs[s], key) if s in runs else "-" for s in sides]
                    valid = [
                        statistics.median(r[key] for r in runs[s])
                        for s in wanted[1:]
                        if max(r["error"] for r in runs[s]) <= TOL
                    ]
                    own = statistics.median(r[key] for r in runs["ours"])
                    ratio = f"{min(valid) / own:.3g}" if valid else "-"
                    print(f"| {n} | {cost} | {eps:g} | " + " | ".join(cells) + f" | {ratio} |", flush=True)
        print("\n## Linear program: certified gaps beside `emd2`, CPU seconds, one thread\n")
        print("| n | cost | ours, gap 1e-3 | found | ours, gap 1e-9 | found | value | emd2 | emd2 / ours 1e-3 | 1e-9 |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for (n, cost), files in paths.items():
            rounds = [
                [run("ours", files, 0, 1, 1e-3), run("ours", files, 0, 1, 1e-9), run("emd2", files, 0, 1)]
                for _ in range(arguments.repeat)
            ]
            coarse, fine, peer = (statistics.median(r[k]["cpu"] for r in rounds) for k in range(3))
            value = rounds[0][2]["value"]
            gaps = []
            for found, wanted in zip(rounds[0], (1e-3, 1e-9)):
                low, up = found["lower"], found["upper"]
                assert low <= value + 1e-13 and value <= up + 1e-13 and up - low <= wanted * up + 1e-13, (low, value, up)
                gaps.append(f"{(up - low) / up:.1e}" if up > 0 else f"{up - low:.1e} absolute")
            print(
                f"| {n} | {cost} | {coarse:.3g} | {gaps[0]} | {fine:.3g} | {gaps[1]} "
                f"| {value:.10g} | {peer:.3g} | {peer / coarse:.3g} | {peer / fine:.3g} |",
                flush=True,
            )


def left_out(side, n, eps, threads):
    """What takes minutes."""
    if side == "sinkhorn_log":
        return n > 500 or threads > 1
    return threads > 1 and n >= 2000 and eps < 1e-2 and side != "ours"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--eps", type=float, nargs="*", default=[1e-3, 1e-2])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peers", nargs="*", default=["sinkhorn", "sinkhorn_log", "ssns"])
    parser.add_argument("--worker", nargs=3, metavar=("SIDE", "FILE", "EPS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        worker(chosen.worker[0], chosen.worker[1], float(chosen.worker[2]))
    else:
        main(chosen)
