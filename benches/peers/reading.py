"""Reading of LIBSVM files: MB/s of scikit-learn and LIBLINEAR beside those of raphson.

    cargo build --release --all-features --example logistic
    RAPHSON_DATA=folder python benches/peers/reading.py > table.md

Files are named as arguments; without any, a9a, w8a and news20.split10 in the folder `libsvm` of
RAPHSON_DATA. Gzip files are unpacked first. One thread unless `--threads` says otherwise; MB of
text by CPU second of reading with one thread and by second of the wall clock with more, and the
median over the rounds, in each of which every side reads once. LIBLINEAR's reader is the one of
its Python package, which keeps scipy matrices.
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="LIBSVM files, plain or gzip")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=1, help="of raphson")
    parser.add_argument("--exe", default=ROOT / "target/release/examples/logistic")
    arguments = parser.parse_args()
    files = arguments.files
    if not files:
        if "RAPHSON_DATA" not in os.environ:
            sys.exit("error: name files, or the folder of data by RAPHSON_DATA")
        files = [pathlib.Path(os.environ["RAPHSON_DATA"]) / "libsvm" / f"{s}.gz" for s in SETS]
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    print("| set | MB | raphson MB/s | scikit-learn MB/s | ratio | LIBLINEAR MB/s | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
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
                rounds.append((own, sklearn, timed(read, clock)))
            own, sklearn, liblinear = (size / statistics.median(r[k] for r in rounds) for k in range(3))
            ratios = [statistics.median(r[k] / r[0] for r in rounds) for k in (1, 2)]
            print(
                f"| {path.name} | {size:.1f} | {own:.0f} | {sklearn:.1f} | {ratios[0]:.1f} "
                f"| {liblinear:.1f} | {ratios[1]:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
