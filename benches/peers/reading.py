"""Reading of LIBSVM files: MB/s of scikit-learn and LIBLINEAR beside those of raphson.

    cargo build --release --all-features --example logistic
    RAPHSON_DATA=folder python benches/peers/reading.py > table.md

Files are named as arguments; without any, a9a, w8a and news20.split10 in the folder `libsvm` of
RAPHSON_DATA. Gzip files are unpacked first. One thread unless `--threads` says otherwise; MB of
text by CPU second of reading with one thread and by second of the wall clock with more, and the
median over the rounds, in each of which every side reads once. LIBLINEAR has two readers: that of
its Python package, which keeps scipy matrices, and `read_problem` of its program `train`, in C. The
latter is timed where the program is found (Debian: `apt install liblinear-tools`), or named by
`--train`: it is given the cost -1, which it refuses once it has read the file. What it needs for a
file of one line is taken off.
"""

import argparse
import gzip
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

from liblinear import liblinearutil  # noqa: E402  (after the numbers of threads)
from sklearn.datasets import load_svmlight_file  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETS = ["a9a", "w8a", "news20.split10"]


def timed(call, clock):
    began = clock()
    call()
    return clock() - began


def ours(path, arguments):
    # One iteration: only what it says of reading is of interest.
    command = [str(arguments.exe), str(path), "--threads", str(arguments.threads), "--max-iter", "1", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"error: {' '.join(command)}: {done.stderr}")
    result = json.loads(done.stdout)
    return result["load_cpu_seconds" if arguments.threads == 1 else "load_seconds"]


def by_train(program, path, threads):
    command = [program, "-s", "0", "-c", "-1", str(path), os.devnull]
    cpu = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])  # noqa: E731
    clock = cpu if threads == 1 else time.perf_counter
    began = clock()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = clock() - began
    if done.returncode != 1 or "C <= 0" not in done.stderr:
        sys.exit(f"error: {' '.join(command)}: {done.stderr or done.stdout}")
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="LIBSVM files, plain or gzip")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=1, help="of raphson")
    parser.add_argument("--exe", default=ROOT / "target/release/examples/logistic")
    parser.add_argument("--train", default=shutil.which("liblinear-train"), help="the program of LIBLINEAR")
    arguments = parser.parse_args()
    files = arguments.files
    if not files:
        if "RAPHSON_DATA" not in os.environ:
            sys.exit("error: name files, or the folder of data by RAPHSON_DATA")
        files = [pathlib.Path(os.environ["RAPHSON_DATA"]) / "libsvm" / f"{s}.gz" for s in SETS]
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    peers = ["scikit-learn", "LIBLINEAR (Python)"] + ["LIBLINEAR (C)"] * bool(arguments.train)
    print("| set | MB | raphson MB/s |" + "".join(f" {peer} MB/s | ratio |" for peer in peers))
    print("|---|--:|--:|" + "--:|--:|" * len(peers), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        line = pathlib.Path(folder) / "line"
        line.write_text("1 1:1\n")
        for path in map(pathlib.Path, files):
            if path.suffix == ".gz":
                plain = pathlib.Path(folder) / path.stem
                plain.write_bytes(gzip.decompress(path.read_bytes()))
                path = plain
            size = path.stat().st_size / 1e6
            rounds = []
            for _ in range(arguments.repeat):
                own = ours(path, arguments)
                sklearn = timed(lambda: load_svmlight_file(str(path)), clock)
                read = lambda: liblinearutil.svm_read_problem(str(path), return_scipy=True)  # noqa: E731
                turns = [own, sklearn, timed(read, clock)]
                if arguments.train:
                    once = lambda file: by_train(arguments.train, file, arguments.threads)  # noqa: E731
                    turns.append(once(path) - once(line))
                rounds.append(turns)
            own, *others = (size / statistics.median(turn) for turn in zip(*rounds))
            ratios = [statistics.median(r[k] / r[0] for r in rounds) for k in range(1, len(peers) + 1)]
            columns = "".join(f" {rate:.1f} | {ratio:.1f} |" for rate, ratio in zip(others, ratios))
            print(f"| {path.name} | {size:.1f} | {own:.0f} |{columns}", flush=True)


if __name__ == "__main__":
    main()
