"""Print what TensorBoard's own reader makes of a folder of event files.

    pip install tensorboard
    python read_events.py run

For the golden files in run/ this prints steps 1 to 6 of loss with the values
of steps 4 to 6 negative (the resumed session's), grad_norm up to step 3 only,
and the pictures of the resumed session: grey at step 4, colour at step 6.
"""

import sys

from tensorboard.backend.event_processing import event_accumulator

accumulator = event_accumulator.EventAccumulator(
    sys.argv[1], size_guidance={"scalars": 0, "tensors": 0, "images": 0}
)
accumulator.Reload()
tags = accumulator.Tags()
for tag in tags["scalars"]:
    print(tag, [(e.step, e.value) for e in accumulator.Scalars(tag)])
for tag in tags["images"]:
    print(tag, [(e.step, e.width, e.height, len(e.encoded_image_string)) for e in accumulator.Images(tag)])
