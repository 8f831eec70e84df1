package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ebm/runtime/progress"
)

// Report says what was timed and how long it took. Times are in milliseconds;
// those of no runs are 0.
type Report struct {
	Job      Job    `json:"job"`
	Net      string `json:"net"`
	Dim      int    `json:"dim"`
	Channels int    `json:"channels"`
	Size     int    `json:"size"`
	Batch    int    `json:"batch"`           // pictures, or chains, in one run
	Steps    int    `json:"steps,omitempty"` // of Sample, the length of a chain
	Shards   int    `json:"shards,omitempty"`

	Threads     int    `json:"threads"` // on the CPU
	Provider    string `json:"provider"`
	ONNXRuntime string `json:"onnxruntime"`

	Runs      int     `json:"runs"`
	MinMS     float64 `json:"min_ms"`
	MedianMS  float64 `json:"median_ms"`
	PictureMS float64 `json:"picture_ms"` // MinMS over Batch
	PerSecond float64 `json:"pictures_per_second"`

	// Operations of one run, and billions of them a second at MinMS: of the
	// function as it is written, and as it is computed.
	WrittenFLOPs   float64 `json:"flops_written"`
	ComputedFLOPs  float64 `json:"flops_computed"`
	WrittenGFLOPS  float64 `json:"gflops_written"`
	ComputedGFLOPS float64 `json:"gflops_computed"`

	PeakBytes int64 `json:"peak_bytes"` // the process's largest resident memory, 0 where it is not known

	// Of Sample alone: a chain's step, noise and all, beside a bare score of as
	// many pictures in the same minutes. The denoising jump counts as a step.
	StepMS         float64 `json:"step_ms,omitempty"`
	ScoreMS        float64 `json:"score_ms,omitempty"`
	ChainOverScore float64 `json:"chain_over_score,omitempty"`
}

// Report describes w with the times of runs of it.
func (w *Work) Report(times []time.Duration) Report {
	n, info := w.Settings.Network().Plan(), w.rt.Info()
	r := Report{
		Job: w.Job, Net: n.Net, Dim: n.Dim, Channels: n.Channels, Size: n.Size, Batch: w.Settings.Batch,
		Threads: info.Threads, Provider: string(info.Provider), ONNXRuntime: info.Version,
		Runs: len(times), WrittenFLOPs: w.Written, ComputedFLOPs: w.Computed, PeakBytes: peakMemory(),
	}
	switch w.Job {
	case Features:
		r.Net, r.Dim = "inception", 0
	case Train:
		r.Shards = w.Settings.Shards
	case Sample:
		r.Steps = w.Steps
	}
	if len(times) == 0 {
		return r
	}
	r.MinMS, r.MedianMS = milliseconds(slices.Min(times)), milliseconds(median(times))
	r.PictureMS, r.PerSecond = r.MinMS/float64(r.Batch), 1000*float64(r.Batch)/r.MinMS
	r.WrittenGFLOPS, r.ComputedGFLOPS = w.Written/r.MinMS/1e6, w.Computed/r.MinMS/1e6
	if w.Job == Sample {
		r.StepMS = r.MinMS / float64(w.Steps+1)
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median returns the middle one of times, or the mean of the middle two.
func median(times []time.Duration) time.Duration {
	sorted := slices.SortedFunc(slices.Values(times), cmp.Compare[time.Duration])
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Measure does the job several times. Between the chains of Sample it times the
// bare score.
func (w *Work) Measure(ctx context.Context, runs int, show progress.Progress) (Report, error) {
	var score *Work
	if w.Job == Sample {
		spec := w.Spec
		spec.Job = Score
		var err error
		if score, err = New(ctx, w.rt, spec); err != nil {
			return Report{}, err
		}
		defer score.Close()
	}
	stage := progress.Begin(show, "bench", int64(runs), "runs")
	defer stage.Done()
	var times, scores []time.Duration
	for range runs {
		if score != nil {
			for range scoresBetween {
				d, err := score.Run(ctx)
				if err != nil {
					return Report{}, err
				}
				scores = append(scores, d)
			}
		}
		d, err := w.Run(ctx)
		if err != nil {
			return Report{}, err
		}
		times = append(times, d)
		stage.Add(1)
	}
	r := w.Report(times)
	if score != nil {
		r.ScoreMS = milliseconds(slices.Min(scores))
		r.ChainOverScore = r.StepMS / r.ScoreMS
	}
	return r, nil
}

// scoresBetween is the number of scores that are timed before each chain.
const scoresBetween = 10

// String puts the report in a few lines.
func (r Report) String() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s", what)
		fmt.Fprintf(&b, format, args...)
		b.WriteByte('\n')
	}
	model := fmt.Sprintf("%s, %d channels wide, on pictures of %d×%d×%d", r.Net, r.Dim, r.Channels, r.Size, r.Size)
	if r.Job == Features {
		model = fmt.Sprintf("%s on pictures of %d×%d×%d", r.Net, r.Channels, r.Size, r.Size)
	}
	line("job", "%s", r.Job)
	line("model", "%s", model)
	switch {
	case r.Job == Sample:
		line("batch", "%d chains of %d steps", r.Batch, r.Steps)
	case r.Shards > 1:
		line("batch", "%d pictures in %d shards", r.Batch, r.Shards)
	default:
		line("batch", "%d pictures", r.Batch)
	}
	line("engine", "ONNX Runtime %s, %s, %s", r.ONNXRuntime, r.Provider, counted(r.Threads, "thread"))
	line("time", "least %s ms, median %s ms of %s", digits(r.MinMS), digits(r.MedianMS), counted(r.Runs, "run"))
	line("a picture", "%s ms, %s a second", digits(r.PictureMS), digits(r.PerSecond))
	line("operations", "%s GFLOP a run as written, %s GFLOP/s", digits(r.WrittenFLOPs/1e9), digits(r.WrittenGFLOPS))
	line("", "%s GFLOP a run as computed, %s GFLOP/s", digits(r.ComputedFLOPs/1e9), digits(r.ComputedGFLOPS))
	if r.PeakBytes > 0 {
		line("memory", "%s MB at most", digits(float64(r.PeakBytes)/1e6))
	}
	if r.ScoreMS > 0 {
		line("a step", "%s ms, %.3f times a bare score of %s ms", digits(r.StepMS), r.ChainOverScore, digits(r.ScoreMS))
	}
	return b.String()
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// digits writes a number with about four digits, without an exponent.
func digits(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	case v >= 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
