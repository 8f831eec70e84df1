"""How gradients.py and steps.py time one side of a turn."""

import time


def timed(run):
    time.sleep(0.1)  # threads of the other side stop spinning
    run()
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
