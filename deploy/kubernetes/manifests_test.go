// Package kubernetes tests the manifests beside it, which no cluster has run: they are
// decoded strictly into the published types, and the commands of their containers run
// as the indices of the job would, with the program and its library in one folder and
// nothing else in the environment. EBM names the program, EBM_LIBRARY the library.
package kubernetes

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func decode[T any](t *testing.T, name string) (v T) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil {
		err = yaml.UnmarshalStrict(data, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func TestManifests(t *testing.T) {
	claim := decode[core.PersistentVolumeClaim](t, "volume.yaml")
	sample, merge := decode[batch.Job](t, "sample.yaml"), decode[batch.Job](t, "merge.yaml")
	s := sample.Spec
	if *s.CompletionMode != batch.IndexedCompletion || s.BackoffLimitPerIndex == nil ||
		s.Template.Spec.RestartPolicy != core.RestartPolicyNever {
		t.Errorf("sample.yaml: mode %v, retries of an index %v, restart policy %v: want an indexed job whose pods are never restarted",
			*s.CompletionMode, s.BackoffLimitPerIndex, s.Template.Spec.RestartPolicy)
	}
	if parts := s.Template.Spec.Containers[0].Env[0]; parts.Name != "EBM_PARTS" || parts.Value != strconv.Itoa(int(*s.Completions)) {
		t.Errorf("sample.yaml: %s is %s, want EBM_PARTS, the completions %d", parts.Name, parts.Value, *s.Completions)
	}
	rules := s.PodFailurePolicy.Rules
	if len(rules) != 2 || rules[0].Action != batch.PodFailurePolicyActionIgnore || rules[0].OnPodConditions[0].Type != core.DisruptionTarget ||
		rules[1].Action != batch.PodFailurePolicyActionFailIndex || *rules[1].OnExitCodes.ContainerName != s.Template.Spec.Containers[0].Name {
		t.Errorf("sample.yaml: pod failure policy %+v", rules)
	}
	for _, job := range []batch.Job{sample, merge} {
		spec := job.Spec.Template.Spec
		if spec.Volumes[0].PersistentVolumeClaim.ClaimName != claim.Name {
			t.Errorf("%s: the claim is %s, want %s", job.Name, spec.Volumes[0].PersistentVolumeClaim.ClaimName, claim.Name)
		}
		for _, c := range append(spec.InitContainers, spec.Containers...) {
			if len(c.Command) > 0 || c.VolumeMounts[0].MountPath != "/data" || !*c.SecurityContext.ReadOnlyRootFilesystem {
				t.Errorf("%s: container %+v", job.Name, c)
			}
		}
	}
	typo := []byte("apiVersion: batch/v1\nkind: Job\nspec:\n  backoffLimitPerIndices: 3\n")
	if err := yaml.UnmarshalStrict(typo, new(batch.Job)); err == nil {
		t.Error("a field that does not exist is no error")
	}
}

// TestCommands runs what the pods would, of fewer and shorter chains.
func TestCommands(t *testing.T) {
	program, library := os.Getenv("EBM"), os.Getenv("EBM_LIBRARY")
	if program == "" || library == "" {
		t.Skip("EBM and EBM_LIBRARY name no program and library")
	}
	image, data := t.TempDir(), t.TempDir()
	for from, to := range map[string]string{program: "ebm", library: "libonnxruntime.so"} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(image, to), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(c core.Container, parts int, more ...string) string {
		t.Helper()
		args := make([]string, len(c.Args))
		for i, a := range c.Args {
			args[i] = strings.ReplaceAll(strings.ReplaceAll(a, "/data", data), "50000", "128")
		}
		cmd := exec.Command(filepath.Join(image, "ebm"), args...)
		cmd.Dir, cmd.Env = image, more
		for _, e := range c.Env {
			if e.Name == "EBM_PARTS" {
				e.Value = strconv.Itoa(parts)
			}
			cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
		}
		if args[0] == "sample" {
			cmd.Args = append(cmd.Args, "--steps", "30")
		}
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, &errs)
		}
		return out.String() + errs.String()
	}
	const parts = 3
	sample, merge := decode[batch.Job](t, "sample.yaml").Spec.Template.Spec, decode[batch.Job](t, "merge.yaml").Spec.Template.Spec
	for _, index := range []int{2, 0, 1, 0} { // one runs twice
		out := run(sample.Containers[0], parts, "JOB_COMPLETION_INDEX="+strconv.Itoa(index))
		if want := "part " + strconv.Itoa(index+1) + "/" + strconv.Itoa(parts); !strings.Contains(out, want) {
			t.Errorf("index %d said %s, want %s", index, out, want)
		}
	}
	run(merge.InitContainers[0], parts)
	whole := sample.Containers[0]
	whole.Args = append(append([]string{}, whole.Args[:len(whole.Args)-1]...), "/data/alone")
	whole.Env = nil
	run(whole, 1)
	for _, name := range []string{"samples.npz", "samples.json", "trace.json", "grid.png"} {
		a, err := os.ReadFile(filepath.Join(data, "samples", name))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(data, "alone", name)); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s of three pods differs from that of one process (%v)", name, err)
		}
	}
	if err := os.Rename(filepath.Join(data, "alone"), filepath.Join(data, "reference")); err != nil {
		t.Fatal(err)
	}
	if out := run(merge.Containers[0], 1, "JOB_COMPLETION_INDEX="); !strings.Contains(out, `"metrics"`) {
		t.Errorf("the evaluation said %s", out)
	}
}
