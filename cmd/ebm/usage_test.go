package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// wrongValues are commands with a flag or an argument that cannot be. WEIGHTS and
// ENERGY are files.
const wrongValues = `
models --threads -1
models --device -1
models --device 0,0
models --device 0,1 --provider cpu
models --cuda-graphs --provider cpu
models --choices elu,fast
models --choices elu --provider cpu
models --choices nhwc --provider webgpu
train --preset mnist --autotune --choices elu --out o
sample --run mnist16 --autotune --part 1/2 --out o
models --device one
train --preset mnist --precision fp8
verify --run mnist16 --tf32 --precision fp16
models --provider tpu
models nosuch
demo --steps 0 --out o
demo --count 0 --out o
demo --budget -1s --out o
train --preset imagenet
train --preset mnist --size 20
train --preset mnist --size -1
train --preset mnist --channels 0
train --preset mnist --steps -1
train --preset mnist --batch 0
train --preset mnist --shards -1
train --preset mnist --net res7
train --preset mnist --dim 0
train --preset mnist --head cubic
train --preset mnist --activation sine
train --preset mnist --sigma0 0
train --preset mnist --sigma0 -1
train --preset mnist --sigma-min 4
train --preset mnist --sigma-max 0
train --preset mnist --sigma-spacing odd
train --preset mnist --weighting odd
train --preset mnist --objective odd
train --preset mnist --objective posterior --neighbours -1
train --preset mnist --objective score-matching --projections -1
train --preset mnist --objective energy-matching --warm-up 2
train --preset mnist --objective energy-matching --contrast -1
train --preset mnist --objective energy-matching --floor -1
train --preset mnist --objective energy-matching --tau 0
train --preset mnist --objective persistent --replay -1
train --preset mnist --objective persistent --restart 2
train --preset likelihood --chain-steps -1
train --preset likelihood --chain-step-size -1
train --preset likelihood --chain-temperature -1
train --preset likelihood --data-noise -1
train --preset likelihood --regularise -1
train --preset mnist --learning-rate -1
train --preset mnist --final-learning-rate -1
train --preset mnist --schedule odd
train --preset mnist --beta1 2
train --preset mnist --beta2 2
train --preset mnist --epsilon -1
train --preset mnist --ema 2
train --preset mnist --checkpoint-every -1
train --preset mnist --checkpoint-every often
train --preset mnist --mtbf -1h
train --preset mnist --keep-checkpoints -1
train --preset mnist --log-every -1
train --preset mnist --channels 2
train --preset mnist --data-name imagenet
classifier --out o --data-name cifar10
classifier --out o --steps -1
classifier --out o --batch 0
classifier --out o --shift -1
classifier --out o --dim 0
classifier --out o --features 0
classifier --out o --learning-rate -1
classifier --out o --ema 2
classifier --out o --checkpoint-every -1
sample --run mnist16 --out o --count 0
sample --run mnist16 --out o --count -1
sample --run mnist16 --out o --until -1
sample --run mnist16 --out o --until 2
sample --run mnist16 --out o --batch -1
sample --run mnist16 --out o --schedule odd
sample --run mnist16 --out o --steps 0
sample --run mnist16 --out o --step-size 0
sample --run mnist16 --out o --step-size NaN
sample --run mnist16 --out o --hot 0
sample --run mnist16 --out o --sigma0 -1
sample --run mnist16 --out o --shard 5/4
sample --run mnist16 --out o --shard x
sample --run mnist16 --out o --grid -1
sample --run mnist16 --out o --chains -1
sample --run mnist16 --out o --crop -5 --steps 1 --count 1
sample --run mnist16 --out o --sampler odd
sample --run mnist16 --out o --hmc-steps 0
sample --run mnist16 --out o --target 2
sample --run mnist16 --out o --draws 0
sample --run mnist16 --out o --warmup -1
sample --run mnist16 --out o --thin 0
sample --run mnist16 --out o --start-noise NaN
sample --run mnist16 --out o --count 1 --steps 1 --start mnist:valid
sample --run mnist16 --out o --checkpoint newish
sample --run mnist16 --out o --checkpoint -4
sample --run mnist16 --out o --count 3 --draws 2
sample --run mnist16 --out o --fast --evaluations 1
sample --run mnist16 --out o --sampler heun --levels 0
sample --run mnist16 --out o --sampler edm --corrector -1
sample --run mnist16 --out o --sampler edm --tail -1
tune-sampler --run mnist16 --out o --budget 1
tune-sampler --run mnist16 --out o --recipes 0
tune-sampler --run mnist16 --out o --count 1
tune-sampler --run mnist16 --out o --data-name odd
denoise --run mnist16 --images mnist:test --out o --noise -1
denoise --run mnist16 --images mnist:test --out o --sigma -1
denoise --run mnist16 --images mnist:test --out o --probes -1
score --run mnist16 --images x --count -1
score --run mnist16 --images x --batch 0
score --run mnist16 --images x --levels -1
score --run mnist16 --images x --by odd
score --run mnist16 --images x --calibrate 1
score --run mnist16 --images x --calibrate 0.1
score --run mnist16 --images x --sigma0 -1
fit ENERGY --data x.npz --out o --loss odd
fit ENERGY --data x.npz --out o --optimizer odd
fit ENERGY --data x.npz --out o --steps -1
fit ENERGY --data x.npz --out o --batch 0
fit ENERGY --data x.npz --out o --validation 2
sweep --data moons --steps 5 --out o --set batch=odd
sweep --data moons --steps 5 --out o --set odd=1
sweep --data moons --steps 5 --out o --set batch=8 --seeds 0
sweep --data moons --steps 5 --out o --set batch=8 --finalists -1
training-step ENERGY --out t.onnx --loss odd
training-step ENERGY --out t.onnx --loss mse --optimizer odd
training-step ENERGY --out t.onnx --loss mse --size N=0
restore --run mnist16 --images mnist:test --out o --task odd
restore --run mnist16 --images mnist:test --out o --task inpaint --noise -1
restore --run mnist16 --images mnist:test --out o --task superres --factor 1
restore --run mnist16 --images mnist:test --out o --task superres --filter odd
restore --run mnist16 --images mnist:test --out o --task missing --keep 0
restore --run mnist16 --images mnist:test --out o --task deblur --blur gaussian:-1
restore --run mnist16 --images mnist:test --out o --task deblur --blur odd
restore --run mnist16 --images mnist:test --out o --task inpaint --samples 0
restore --run mnist16 --images mnist:test --out o --task inpaint --rows 0
restore --run mnist16 --images mnist:test --out o --task inpaint --count -1
restore --run mnist16 --images mnist:test --out o --task inpaint --sampler odd
restore --run mnist16 --images mnist:test --out o --task inpaint --sampler langevin --schedule odd
inpaint --run mnist16 --images mnist:test --out o --mask left --count -1
inpaint --run mnist16 --images mnist:test --out o --mask left --completions 0
inpaint --run mnist16 --images mnist:test --out o --mask left --rows 0
inpaint --run mnist16 --images mnist:test --out o --mask left --temperature -1
inpaint --run mnist16 --images mnist:test --out o --mask left --batch -1
inpaint --run mnist16 --images mnist:test --out o --mask left --schedule odd
inpaint --run mnist16 --images mnist:test --out o --mask left --steps 0
inpaint --run mnist16 --images mnist:test --out o --mask left --sigma0 -1
inpaint --run mnist16 --out o --mask left --images mnist:valid
compose --run mnist16 --weights 1,2 --out o
compose --run mnist16 --temperature 0 --out o
compose --run mnist16 --temperature -1 --out o
compose --run mnist16 --classifier mnist:12 --out o
compose --run mnist16 --classifier mnist --out o
compose --run mnist16 --classifier nosuch:3 --out o
compose --run mnist16 --classifier mnist:7 --classifier-weight NaN --out o
compose --run mnist16 --images mnist:test --mask left --given-noise -1 --out o
evaluate --samples mnist:test --metrics odd
evaluate --samples mnist:test --preprocess odd
evaluate --samples mnist:test --features odd
evaluate --samples mnist:test --features classifier:odd
evaluate --samples mnist:test --features-range odd
evaluate --samples mnist:test --samples-range odd
evaluate --samples mnist:test --limit -1
evaluate --samples mnist:test --kid-subsets 0
evaluate --samples mnist:test --kid-sigma -1
evaluate --samples mnist:test --features-recipe best
evaluate --samples mnist:test --features-recipe clip
evaluate --samples mnist:test --features pixels --features-recipe inception-768
evaluate --samples mnist:test --features-onnx x.onnx --preprocess tf --features-recipe clip
evaluate --samples mnist:test --kid-subset-size -1
evaluate --samples mnist:test --is-splits 0
evaluate --samples mnist:test --features-size -1
evaluate --samples mnist:test --bootstrap 3
evaluate mnist16 --out o --data-name odd
evaluate mnist16 --out o --against odd
evaluate --reference mnist:test --samples mnist:valid
denoise --run mnist16 --out o --images mnist:valid
evaluate mnist16 --out o --parts odd
evaluate mnist16 --out o --count 1
evaluate mnist16 --out o --steps 0
evaluate mnist16 --out o --pictures 0
evaluate mnist16 --out o --neighbours 0
evaluate mnist16 --out o --select-count 0
evaluate mnist16 --out o --select-steps 0
evaluate mnist16 --out o --checkpoint odd
likelihood --run mnist16 --out o --preset odd
likelihood --run mnist16 --out o --points odd
likelihood --run mnist16 --out o --count -1
likelihood --run mnist16 --out o --distributions -1
likelihood --run mnist16 --out o --hmc-steps -1
likelihood --run mnist16 --out o --chains -1
likelihood --run mnist16 --out o --reference-sigma 0
likelihood --run mnist16 --out o --ratio -1
likelihood --run mnist16 --out o --temperature 0
likelihood --run mnist16 --out o --sigma0 -1
likelihood --run mnist16 --out o --images mnist:valid
likelihood --toy odd
likelihood --toy gaussian --dim 0
likelihood --toy gaussian --dim -2
likelihood --toy gaussian --temperature 2
reproduce odd
reproduce noise --scale odd
reproduce objectives --scale smoke --budget -1m --out o
reproduce noise --data odd
reproduce noise --scale smoke --data odd=x --out o
export --run mnist16 --out o --kinds odd
export --run mnist16 --out o --batch -1
export --run mnist16 --out o --for odd
export --run mnist16 --out o --for triton --kinds odd
export --run mnist16 --out o --for torch-fidelity --steps 0
export --run mnist16 --out o --for torch-fidelity --step-size 0
export --run mnist16 --out o --for torch-fidelity --seed 99999999
export --run mnist16 --out o --for triton --name a/b
export --weights WEIGHTS --out o --activation odd
export --weights WEIGHTS --out o --net res7
export --weights WEIGHTS --out o --dim -1
gradient ENERGY --wrt x --out g.onnx --size N
gradient ENERGY --wrt x --out g.onnx --size N=0
gradient ENERGY --wrt x --out g.onnx --value a
gradient ENERGY --out g.onnx --wrt nosuch
gradient ENERGY --wrt x --out g.onnx --of nosuch
verify --run mnist16 --each 0
verify --run mnist16 --tolerance -1
bench --job odd
bench --batch -1
bench --runs -1
bench --shards -1
bench --job sample --steps 0
bench --net res7
bench --dim 0
bench --channels 0
bench --size 20
inspect mnist16 --graph --after nowhere
inspect mnist16 --graph --kind nothing
runtime install --version 9.9.9
runtime install --version x
denoise --run mnist16 --images x.png --out o --sigma0 -1
export --run mnist16 --for page --out o.html --precision int3
watch . --address 0.0.0.0:80
watch . --address nonsense
`

// Wrong values of flags are wrong usage, exit status 2, found before any work.
func TestWrongValuesAreStatus2(t *testing.T) {
	testkit.Long(t)
	formats, err := filepath.Abs("testdata/formats")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files := strings.NewReplacer("WEIGHTS", filepath.Join(formats, "weights.safetensors"), "ENERGY", filepath.Join(formats, "energy.onnx"))
	seen := make(map[string]bool)
	for _, line := range strings.Split(strings.TrimSpace(wrongValues), "\n") {
		seen[strings.Fields(line)[0]] = true
		args := strings.Fields(files.Replace(line))
		wrong := args[len(args)-1] // stands last
		code, out, errs := ebmRun(t, append([]string{"-q"}, args...)...)
		if code != 2 || out != "" || !strings.Contains(errs, wrong) || strings.Count(errs, "\n") != 2 {
			t.Errorf("ebm %s: exit status %d, %q, want 2 and a line that names %s", line, code, errs, wrong)
		}
	}
	for _, c := range commands() {
		name := strings.Fields(c.CommandPath())[1]
		// Flags of these are names of files and switches.
		if c.HasLocalFlags() && !slices.Contains([]string{"version", "convert", "compare", "merge"}, name) && !seen[name] &&
			name != "completion" && name != "help" {
			t.Errorf("no wrong value of %s is tried", name)
		}
	}
}
