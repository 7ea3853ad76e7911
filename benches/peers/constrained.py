"""Equality-constrained problems beside SLSQP, trust-constr and Ipopt, as a Markdown table.

    pip install -r benches/peers/requirements.txt
    cargo build --release --all-features --example constrained
    python benches/peers/constrained.py > table.md

All solvers get the starts of Hock and Schittkowski, exact first derivatives and, if they take them, exact second
derivatives. The run of a peer ends at the first iterate where ||(grad f + G'l, c)|| <= 1e-8 with the multipliers l of
least squares at that iterate, which is computed here and is the best that can be said of x; the tolerances of the peer
itself are far below that and do not cut it off. The runs of raphson end at its own test, which has its own multipliers
and is not easier. The residual in the table is computed here from the returned point for all of them.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
from math import asin, cos, sin, sqrt
from pathlib import Path

import casadi
import numpy as np
import scipy
from scipy.optimize import NonlinearConstraint, minimize

TOL = 1e-8
MOST = 1000
R = sqrt(2)
# The eighteen of the sum, then three that are only shown.
COUNTED = [6, 7, 26, 27, 28, 39, 40, 42, 46, 47, 48, 49, 50, 51, 52, 77, 78, 79]
SHOWN = [56, 61]


def problem(number, x):
    """f, c and the start; x is a function of n that makes n symbols."""
    if number == 0:
        a, b = x(2)
        return 2 * (a**2 + b**2 - 1) - a, [a**2 + b**2 - 1], [cos(0.5), sin(0.5)]
    if number == 6:
        a, b = x(2)
        return (1 - a) ** 2, [10 * (b - a**2)], [-1.2, 1]
    if number == 7:
        a, b = x(2)
        return casadi.log(1 + a**2) - b, [(1 + a**2) ** 2 + b**2 - 4], [2, 2]
    if number == 26:
        a, b, c = x(3)
        return (a - b) ** 2 + (b - c) ** 4, [(1 + b**2) * a + c**4 - 3], [-2.6, 2, 2]
    if number == 27:
        a, b, c = x(3)
        return 0.01 * (a - 1) ** 2 + (b - a**2) ** 2, [a + c**2 + 1], [2, 2, 2]
    if number == 28:
        a, b, c = x(3)
        return (a + b) ** 2 + (b + c) ** 2, [a + 2 * b + 3 * c - 1], [-4, 1, 1]
    if number == 39:
        a, b, c, d = x(4)
        return -a, [b - a**3 - c**2, a**2 - b - d**2], [2] * 4
    if number == 40:
        a, b, c, d = x(4)
        return -a * b * c * d, [a**3 + b**2 - 1, a**2 * d - c, d**2 - b], [0.8] * 4
    if number == 42:
        a, b, c, d = x(4)
        f = (a - 1) ** 2 + (b - 2) ** 2 + (c - 3) ** 2 + (d - 4) ** 2
        return f, [a - 2, c**2 + d**2 - 2], [1] * 4
    if number == 56:
        v = x(7)
        last = v[0] + 2 * v[1] + 2 * v[2] - 7.2 * casadi.sin(v[6]) ** 2
        a, b = asin(sqrt(1 / 4.2)), asin(sqrt(5 / 7.2))
        return -v[0] * v[1] * v[2], [v[i] - 4.2 * casadi.sin(v[i + 3]) ** 2 for i in range(3)] + [last], [1, 1, 1, a, a, a, b]
    if number == 61:
        a, b, c = x(3)
        f = 4 * a**2 + 2 * b**2 + 2 * c**2 - 33 * a + 16 * b - 24 * c
        return f, [3 * a - 2 * b**2 - 7, 4 * a - c**2 - 11], [0.01] * 3
    a, b, c, d, e = x(5)
    degenerate = (a - b) ** 2 + (c - 1) ** 2 + (d - 1) ** 4 + (e - 1) ** 6
    if number == 46:
        return degenerate, [a**2 * d + casadi.sin(d - e) - 1, b + c**4 * d**2 - 2], [R / 2, 1.75, 0.5, 2, 2]
    if number == 47:
        f = (a - b) ** 2 + (b - c) ** 3 + (c - d) ** 4 + (d - e) ** 4
        return f, [a + b**2 + c**3 - 3, b - c**2 + d - 1, a * e - 1], [2, R, -1, 2 - R, 0.5]
    if number == 48:
        f = (a - 1) ** 2 + (b - c) ** 2 + (d - e) ** 2
        return f, [a + b + c + d + e - 5, c - 2 * (d + e) + 3], [3, 5, -3, 2, -2]
    if number == 49:
        return degenerate, [a + b + c + 4 * d - 7, c + 5 * e - 6], [10, 7, 2, -3, 0.8]
    if number == 50:
        f = (a - b) ** 2 + (b - c) ** 2 + (c - d) ** 4 + (d - e) ** 2
        return f, [a + 2 * b + 3 * c - 6, b + 2 * c + 3 * d - 6, c + 2 * d + 3 * e - 6], [35, -31, 11, 5, -5]
    if number == 51:
        f = (a - b) ** 2 + (b + c - 2) ** 2 + (d - 1) ** 2 + (e - 1) ** 2
        return f, [a + 3 * b - 4, c + d - 2 * e, b - e], [2.5, 0.5, 2, -1, 0.5]
    if number == 52:
        f = (4 * a - b) ** 2 + (b + c - 2) ** 2 + (d - 1) ** 2 + (e - 1) ** 2
        return f, [a + 3 * b, c + d - 2 * e, b - e], [2] * 5
    if number == 77:
        f = (a - 1) ** 2 + (a - b) ** 2 + (c - 1) ** 2 + (d - 1) ** 4 + (e - 1) ** 6
        return f, [a**2 * d + casadi.sin(d - e) - 2 * R, b + c**4 * d**2 - 8 - R], [2] * 5
    if number == 78:
        c_ = [a**2 + b**2 + c**2 + d**2 + e**2 - 10, b * c - 5 * d * e, a**3 + b**3 + 1]
        return a * b * c * d * e, c_, [-2, 1.5, 2, -1, -1]
    if number == 79:
        f = (a - 1) ** 2 + (a - b) ** 2 + (b - c) ** 2 + (c - d) ** 4 + (d - e) ** 4
        return f, [a + b**2 + c**3 - 2 - 3 * R, b - c**2 + d + 2 - 2 * R, a * e - 2], [2] * 5
    raise ValueError(f"no problem {number}")


class Problem:
    """A problem with exact derivatives and counts of their evaluations."""

    def __init__(self, number):
        self.name = f"HS{number}" if number else "MARATOS"
        made = []

        def symbols(n):
            made.append(casadi.SX.sym("x", n))
            return casadi.vertsplit(made[0])

        f, c, start = problem(number, symbols)
        x, self.start = made[0], np.array(start, float)
        c = casadi.vertcat(*c)
        multipliers = casadi.SX.sym("l", c.numel())
        self.symbolic = {"x": x, "f": f, "g": c}
        outputs = {
            "f": f,
            "g": casadi.gradient(f, x),
            "H": casadi.hessian(f, x)[0],
            "c": c,
            "J": casadi.jacobian(c, x),
        }
        self.functions = {name: casadi.Function(name, [x], [out]) for name, out in outputs.items()}
        weighted = casadi.hessian(casadi.dot(multipliers, c), x)[0]
        self.weighted = casadi.Function("W", [x, multipliers], [weighted])
        self.counts = dict.fromkeys("fgHcJ", 0)

    def at(self, name, x):
        return np.array(self.functions[name](x))

    def call(self, name, x):
        self.counts[name] += 1
        return self.at(name, x)

    def residual(self, x):
        """||(grad f + G'l, c)|| with the l of least squares."""
        g, c, jacobian = self.at("g", x).ravel(), self.at("c", x).ravel(), self.at("J", x)
        multipliers = np.linalg.lstsq(jacobian.T, -g, rcond=None)[0]
        return np.linalg.norm(np.r_[g + jacobian.T @ multipliers, c])

    def value(self, x):
        return self.at("f", x).item()


class Done(Exception):
    pass


def result(problem, x, iterations, f, c):
    """A cell: iterations, evaluations of f, evaluations of c, residual, value."""
    return {
        "iterations": iterations,
        "f": f,
        "c": c,
        "residual": problem.residual(x),
        "value": problem.value(x),
    }


def scipy_run(number, method):
    p = Problem(number)
    state = {"iterations": 0, "x": p.start}

    def watch(x, *_):
        state["iterations"] += 1
        state["x"] = np.array(x)
        if p.residual(x) <= TOL:
            raise Done

    f, g = lambda x: p.call("f", x).item(), lambda x: p.call("g", x).ravel()
    c, jacobian = lambda x: p.call("c", x).ravel(), lambda x: p.call("J", x)
    with contextlib.suppress(Done), contextlib.redirect_stdout(io.StringIO()):
        if method == "SLSQP":
            constraints = {"type": "eq", "fun": c, "jac": jacobian}
            options = {"maxiter": MOST, "ftol": 1e-20}
            minimize(f, p.start, jac=g, method=method, constraints=constraints, callback=watch, options=options)
        else:
            hess = lambda x, v: np.array(p.weighted(x, v))
            constraints = NonlinearConstraint(c, 0, 0, jac=jacobian, hess=hess)
            options = {"maxiter": MOST, "gtol": 1e-14, "xtol": 1e-16}
            minimize(
                f, p.start, jac=g, hess=lambda x: p.call("H", x), method=method,
                constraints=constraints, callback=watch, options=options,
            )
    # trust-constr calls back at the start too.
    iterations = state["iterations"] - (method == "trust-constr")
    return result(p, state["x"], iterations, p.counts["f"], p.counts["c"])


def ipopt_run(number):
    """The iterates of a run of Ipopt are the ends of shorter runs."""
    p = Problem(number)
    for limit in range(MOST + 1):
        # As little as Ipopt may alter; the default relaxes and rescales nothing of these problems but large gradients.
        options = {
            "print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes", "ipopt.max_iter": limit,
            "ipopt.tol": 1e-13, "ipopt.acceptable_iter": 0,
        }
        solver = casadi.nlpsol("solver", "ipopt", p.symbolic, options)
        x = np.array(solver(x0=p.start, lbg=0, ubg=0)["x"]).ravel()
        stats = solver.stats()
        over = stats["return_status"] != "Maximum_Iterations_Exceeded"
        if p.residual(x) <= TOL or over:
            return result(p, x, stats["iter_count"], stats["n_call_nlp_f"], stats["n_call_nlp_g"])
    return result(p, x, MOST, stats["n_call_nlp_f"], stats["n_call_nlp_g"])


def raphson_runs(example, inner):
    names = [f"HS{number}" for number in COUNTED + SHOWN] + ["MARATOS"]
    command = [example, *names, "--inner", inner, "--json", "-"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode not in (0, 3):
        sys.exit(run.stderr)
    found = {}
    for record, number in zip(json.loads(run.stdout), COUNTED + SHOWN + [0]):
        p = Problem(number)
        x = np.array(record["x"])
        found[number] = result(p, x, record["iterations"], record["values"], record["constraints"])
        if abs(record["f"] - p.value(x)) > 1e-9 * max(1, abs(record["f"])):
            sys.exit(f"{p.name}: f is {record['f']} there and {p.value(x)} here")
    return found


def cell(run):
    mark = "" if run["residual"] <= TOL else " **no**"
    return f"{run['iterations']} ({run['f']}, {run['c']}), {run['residual']:.0e}{mark}"


def main():
    arguments = argparse.ArgumentParser()
    root = Path(__file__).resolve().parents[2]
    arguments.add_argument("--example", default=root / "target/release/examples/constrained")
    example = arguments.parse_args().example
    numbers = COUNTED + SHOWN + [0]
    runs = {
        "Direct": raphson_runs(example, "direct"),
        "Minres": raphson_runs(example, "minres"),
        "Ipopt": {k: ipopt_run(k) for k in numbers},
        "SLSQP": {k: scipy_run(k, "SLSQP") for k in numbers},
        "trust-constr": {k: scipy_run(k, "trust-constr") for k in numbers},
    }
    peers = list(runs)[2:]
    print(f"scipy {scipy.__version__}; Ipopt of casadi {casadi.__version__}. Iterations (evaluations of f, of c), residual.\n")
    print("| problem | " + " | ".join(runs) + " | f of Direct | others |")
    print("|---" * (len(runs) + 3) + "|")
    for k in numbers:
        best = min([runs[s][k]["iterations"] for s in peers if runs[s][k]["residual"] <= TOL], default=0)
        direct = runs["Direct"][k]
        mark = " (more than twice the best)" if direct["iterations"] > 2 * best else ""
        other = [
            f"{s}: {runs[s][k]['value']:.7g}" for s in list(runs)[1:]
            if abs(runs[s][k]["value"] - direct["value"]) > 1e-5 * max(1, abs(direct["value"]))
        ]
        cells = [cell(runs[s][k]) for s in runs]
        cells[0] += mark
        print(f"| {Problem(k).name} | " + " | ".join(cells) + f" | {direct['value']:.9g} | {'; '.join(other)} |")
    sums = []
    for s in runs:
        solved = [runs[s][k] for k in COUNTED]
        total = [sum(r[key] for r in solved) for key in ("iterations", "f", "c")]
        failed = sum(r["residual"] > TOL for r in solved)
        sums.append(f"{total[0]} ({total[1]}, {total[2]})" + (f", {failed} not solved" if failed else ""))
    print("| **sum of the first 18** | " + " | ".join(sums) + " | | |")


if __name__ == "__main__":
    main()
