"""Tables of what compare.py and growth.py measured, for reading and for docs/performance.md.

    python table.py FILE.json... [--into docs/performance.md]

With --into, tables take the place of what is between <!-- comparison --> (or growth, cost) and
<!-- end --> in the page; several files of a kind follow each other. A comparison with the
paper's colour network also gives the table of costs.
"""

import argparse
import json
import pathlib
import re
import sys

STEPS = 2700

JOBS = {"score": "energy + score", "train": "training step, Adam", "sample": f"{STEPS} Langevin steps, an image",
        "features": "Inception features, an image"}


def rows(head, body):
    """A Markdown table: the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += ["| " + " | ".join(r) + " |" for r in body]
    return "\n".join(lines)


def number(v):
    """About three digits, without an exponent."""
    if v is None:
        return "–"
    for limit, places in ((99.95, 0), (9.995, 1), (0.9995, 2)):
        if abs(v) >= limit:
            return f"{v:,.{places}f}"
    return f"{v:.3f}"


def duration(ms):
    return f"{number(ms / 1000)} s" if ms >= 10000 else f"{number(ms)} ms"


def megabytes(n):
    return number(n / 1e6) if n else "–"


def model(case):
    if case["job"] == "features":
        return f"{case['channels']}x{case['size']}x{case['size']}"
    net = case["net"].replace("res", "Res").replace("unet", "U-Net")
    return f"{net} d={case['dim']}, {case['channels']}x{case['size']}x{case['size']}"


def scale(case):
    """What a run's milliseconds are multiplied with to be what the table says."""
    if case["job"] == "sample":
        return STEPS / (case["steps"] + 1) / case["batch"]
    return 1 / case["batch"] if case["job"] == "features" else 1


def percent(gflops, peak):
    return f"{100 * gflops / peak:.0f} %" if gflops and peak else "–"


def comparison(result):
    """The table of one comparison, and lines about the machine."""
    peak = result.get("peak_gflops")
    body = []
    for r in result["cases"]:
        case, here = r["case"], r["here"]
        k = scale(case)
        best = r["torch"].get(r["best_form"] or "", {})
        theirs = here["flops_written"] / best["min_ms"] / 1e6 if best else None
        body.append([
            f"{JOBS[case['job']]}, {model(case)}, B={case['batch']}",
            f"{duration(k * here['min_ms'])} ({duration(k * here['median_ms'])})",
            f"{duration(k * best['min_ms'])} ({duration(k * best['median_ms'])}), {r['best_form']}" if best else "–",
            number(r.get("ratio")), number(r.get("ratio_of_medians")),
            percent(here["gflops_computed"], peak), percent(theirs, peak),
            f"{megabytes(here.get('peak_bytes'))} / {megabytes(best.get('peak_bytes'))}",
        ])
    if s := result.get("startup"):
        body.append([
            "start to first sample, mnist16, 10 steps",
            f"{duration(s['here']['min_ms'])} ({duration(s['here']['median_ms'])})",
            f"{duration(s['torch']['min_ms'])} ({duration(s['torch']['median_ms'])}), eager",
            number(s["ratio"]), number(s["ratio_of_medians"]), "–", "–",
            f"{megabytes(s['here']['peak_bytes'])} / {megabytes(s['torch']['peak_bytes'])}"])
    head = ["job", "here, least (median)", "PyTorch, least (median), form", "ratio", "of medians", "here, of peak",
            "PyTorch, of peak", "memory, MB, here / PyTorch"]
    parts = [about(result), rows(head, body), every_form(result)]
    if c := result.get("chain"):
        parts.append(f"A step of our chains took {number(c['step_ms'])} ms for {c['batch']} pictures, {c['chain_over_score']:.3f} "
                     f"times a bare score of as many in the same minutes ({number(c['score_ms'])} ms).")
    return "\n\n".join(p for p in parts if p)


def about(result):
    m = result["machine"]
    versions = {r["torch"][f]["torch"] for r in result["cases"] for f in r["torch"] if "torch" in r["torch"][f]}
    engines = {r["here"]["onnxruntime"] for r in result["cases"]}
    peak = result.get("peak_gflops")
    sides = " on either side" if result["kind"] == "comparison" else ""
    text = (f"{m['processor']}, {m['cores']} cores, {result['threads']} threads{sides}, {m['system']}; "
            f"{result['date'][:10]}, commit {result['commit'] or 'unknown'}.")
    if peak:
        text += f" Peak of fused multiply-adds: {number(peak)} GFLOP/s."
    if engines:
        text += f" ONNX Runtime {', '.join(sorted(engines))}"
        text += f"; PyTorch {', '.join(sorted(versions))}." if versions else "."
    if result.get("load_before") and result.get("load_after"):
        text += f" Load average before and after: {result['load_before'][0]:g} and {result['load_after'][0]:g}."
    if result.get("quick"):
        text += " Quick form: few rounds, without torch.compile." if sides else " Quick form: few and small points."
    return text


def every_form(result):
    """The least milliseconds of a run of every form, operations included."""
    forms = sorted({f for r in result["cases"] for f in r["torch"]}, key=["eager", "channels_last", "compile"].index)
    if not forms:
        return ""
    body, notes = [], []
    for r in result["cases"]:
        here = r["here"]
        body.append([r["name"], number(here["flops_written"] / 1e9), number(here["flops_computed"] / 1e9), number(here["min_ms"])]
                    + [number(r["torch"].get(f, {}).get("min_ms")) for f in forms])
        notes += [f"{r['name']}, {f}: {r['torch'][f]['note']}" for f in forms if "note" in r["torch"].get(f, {})]
    head = ["a run of", "GFLOP as written", "as computed here", "here, ms"] + [f"{f}, ms" for f in forms]
    return "\n\n".join([rows(head, body), *notes])


def growth(result):
    """A table for each axis that grows."""
    parts = [about(result | {"cases": []})]
    for axis in result["axes"]:
        body = []
        for r in axis["rows"]:
            body.append([f"{r['label']}", *(cell(r, c) for c in axis["columns"])])
        parts.append(f"**{axis['title']}**\n\n" + rows([axis["label"], *(c["title"] for c in axis["columns"])], body))
    return "\n\n".join(parts)


def cell(row, column):
    v = row.get(column["key"])
    return number(v) if v is None else number(v * column.get("times", 1))


# What graphics processors do at best in TFLOP/s, by their makers' data sheets, and the part of
# it that convolutions of this size are assumed to reach.
PROCESSORS = (("A100, float32", 19.5, 0.5), ("A100, TF32", 156, 0.25), ("H100 SXM, float32", 67, 0.5), ("H100 SXM, TF32", 495, 0.2))
SAMPLES = 50_000


def cost(result):
    """What 50,000 samples of the paper's colour network take, from counted operations."""
    scored = [r for r in result["cases"] if r["name"] == "score-d128"]
    if not scored:
        return ""
    here, threads = scored[0]["here"], result["threads"]
    scores = (STEPS + 1) * SAMPLES
    image = here["flops_computed"] / here["batch"]
    total = scores * image
    core = here["gflops_computed"] * 1e9 / threads
    body = [[f"one core of this machine, measured ({number(core / 1e9)} GFLOP/s a core)", *long_time(total / core)],
            [f"1,000 such cores, `--shard 1/{1000 // threads}` and so on", *long_time(total / core / 1000)]]
    for name, peak, part in PROCESSORS:
        body.append([f"one {name}, estimate ({100 * part:.0f} % of {peak:g} TFLOP/s)", *long_time(total / (peak * 1e12 * part))])
    name, peak, part = PROCESSORS[-1]
    body.append([f"8 × {name}, estimate", *long_time(total / (8 * peak * 1e12 * part))])
    text = (f"One energy and score of one image is {number(image / 1e9)} GFLOP as computed here "
            f"({number(here['flops_written'] / here['batch'] / 1e9)} as written). {STEPS} steps and the jump of {SAMPLES:,} images are "
            f"{scores:,} of them, {total / 1e18:.2f} EFLOP.")
    return text + "\n\n" + rows(["on", "time", "hours"], body)


def long_time(seconds):
    """Seconds in the unit that suits them, and in hours."""
    for unit, size in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}", number(seconds / 3600)
    return f"{number(seconds / 60)} minutes", number(seconds / 3600)


RENDER = {"comparison": comparison, "growth": growth}


def replace(page, kind, text):
    """The page with the text in the place of a kind."""
    pattern = re.compile(rf"(<!-- {kind} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"there is no <!-- {kind} --> … <!-- end -->")
    return pattern.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", page, count=1)


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("files", nargs="+", type=pathlib.Path)
    p.add_argument("--into", type=pathlib.Path, help="a page with places for the tables")
    o = p.parse_args(argv)
    texts = {}
    for path in o.files:
        result = json.loads(path.read_text())
        texts.setdefault(result["kind"], []).append(RENDER[result["kind"]](result))
        if result["kind"] == "comparison" and cost(result):
            texts["cost"] = [cost(result)]  # of the last file
    for kind, list_ in texts.items():
        if not o.into:
            print("\n\n".join(list_))
            continue
        try:
            o.into.write_text(replace(o.into.read_text(), kind, "\n\n".join(list_)))
        except ValueError as e:
            sys.exit(f"{o.into}: {e}")


if __name__ == "__main__":
    main()
