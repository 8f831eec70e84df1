"""A program that takes turns, and what is around a comparison: machine, load, peak."""

import json
import os
import pathlib
import platform
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LINES_OF_AN_ERROR = 3


class Failed(Exception):
    """A program did not start, or stopped."""


class Side:
    """A process that speaks the protocol of `ebm bench --turns`."""

    def __init__(self, command):
        self.errors = tempfile.TemporaryFile(mode="w+")
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        except OSError as e:
            self.errors.close()
            raise Failed(str(e)) from None
        self.times = []
        try:
            self.report = json.loads(self._line())
        except ValueError as e:
            self.stop()
            raise Failed(f"the first line is no JSON: {e}") from None
        except Failed:
            self.stop()
            raise

    def _line(self):
        line = self.process.stdout.readline()
        if line == "":
            self.process.wait()
            self.errors.seek(0)
            last = [text for text in self.errors.read().splitlines() if text.strip()][-LINES_OF_AN_ERROR:]
            raise Failed(f"exit status {self.process.returncode}: {' / '.join(last)}")
        return line

    def begin(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # reading says why

    def end(self):
        self.times.append(float(self._line()))
        return self.times[-1]

    def turn(self):
        """Has the process do its job once; milliseconds."""
        self.begin()
        return self.end()

    def finish(self):
        """Ends the process, and returns its last report with all times."""
        self.process.stdin.close()
        report = json.loads(self._line())
        self.process.wait()
        self.stop()
        return report | {"times_ms": self.times} | least_and_median(self.times)

    def stop(self):
        """Ends the process, finished or not."""
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self.process.kill()
        self.process.wait()
        self.errors.close()


def together(sides):
    """Has all sides do their job once at the same time: milliseconds until the last one has."""
    begin = time.perf_counter()
    for s in sides:
        s.begin()
    for s in sides:
        s.end()
    return 1000 * (time.perf_counter() - begin)


def least_and_median(times):
    ordered = sorted(times)
    n = len(ordered)
    if n == 0:
        return {}
    return {"min_ms": ordered[0], "median_ms": (ordered[(n - 1) // 2] + ordered[n // 2]) / 2}


class Peak:
    """The machine's fused multiply-adds, in GFLOP/s, as peak.c finds them."""

    def __init__(self, threads):
        self.threads, self.seen, self.note = threads, [], ""
        self.folder = tempfile.TemporaryDirectory()
        self.program = pathlib.Path(self.folder.name) / "peak"
        compiler = os.environ.get("CC", "cc")
        for target in ("-march=native", "-mcpu=native"):
            command = [compiler, "-O3", target, "-pthread", str(HERE / "peak.c"), "-o", str(self.program)]
            try:
                done = subprocess.run(command, capture_output=True, text=True)
            except OSError as e:
                self.note = str(e)
                return
            if done.returncode == 0:
                self.note = ""
                return
            self.note = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no compiler"

    def measure(self):
        if not self.note:
            done = subprocess.run([self.program, str(self.threads)], capture_output=True, text=True)
            if done.returncode == 0:
                self.seen.append(float(done.stdout))

    def best(self):
        return max(self.seen, default=None)

    def close(self):
        self.folder.cleanup()


def machine():
    """What a reader must know of the machine, without its name."""
    return {"processor": processor(), "cores": os.cpu_count(), "memory_bytes": memory(),
            "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()}


def processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    except OSError:
        pass
    if platform.system() == "Darwin":
        done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    return platform.processor() or platform.machine()


def memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def load():
    try:
        return [round(v, 2) for v in os.getloadavg()]
    except OSError:
        return []


def commit():
    """The commit that is measured, with a mark when files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def run_measured(command):
    """Runs a command: its seconds from start to end, and its largest resident memory in bytes."""
    with tempfile.TemporaryFile(mode="w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, text=True)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise Failed(f"{command[0]}: exit status {process.returncode}: {errors.read().strip()[-300:]}")
    scale = 1 if platform.system() == "Darwin" else 1024
    return {"seconds": seconds, "peak_bytes": used.ru_maxrss * scale}
