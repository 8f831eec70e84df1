package main

import (
	"strings"

	"github.com/spf13/cobra"

	"ebm/runtime"
)

func newRuntime(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "runtime", Short: "Say which ONNX Runtime is used, or install another build", Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("want 'runtime info' or 'runtime install'")
		},
	}
	cmd.AddCommand(newRuntimeInfo(a), newRuntimeInstall(a))
	return cmd
}

func newRuntimeInfo(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "info", Short: "Print the library's file, version and providers", Args: cobra.NoArgs,
		Long: `info prints the ONNX Runtime library that other commands use. The search goes
through --ort-library, the environment variable EBM_ORT_LIBRARY, the program's
folder, the user cache (see 'ebm runtime install') and the Go module cache.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rt, err := a.runtime(cmd.Context())
			if err != nil {
				return err
			}
			i := rt.Info()
			if asJSON {
				return a.printJSON(i)
			}
			var providers []string
			for _, p := range i.Providers {
				providers = append(providers, string(p))
			}
			a.printf("library    %s\nfound      %s\nversion    %s\nproviders  %s\nin use     %s\n",
				i.Library, i.Source, i.Version, strings.Join(providers, ", "), i.Provider)
			if i.Provider == runtime.CUDA {
				a.printf("device     %d\n", i.Device)
			} else {
				a.printf("threads    %d\n", i.Threads)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func newRuntimeInstall(a *app) *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use:   "install [FILE…]",
		Short: "Put a build of ONNX Runtime into the user cache",
		Long: `install takes ONNX Runtime from archives that you have: a release archive
(.tgz, .zip), a PyPI wheel (onnxruntime, onnxruntime-gpu) or an npm tarball
(onnxruntime-node, or the GPU providers with a main library of the same
version). Without files it fetches a known build through the pip or npm client,
by version and SHA-256. --provider cuda asks for the CUDA providers.`,
		Example: `  ebm runtime install onnxruntime-linux-x64-gpu-1.29.0.tgz
  ebm runtime install --provider cuda`,
		RunE: func(cmd *cobra.Command, files []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			i, err := runtime.Install(cmd.Context(), runtime.InstallOptions{
				Files: files, Provider: c.Provider, Version: version, Log: a.log,
			})
			if err != nil {
				return err
			}
			a.printf("%s\tversion %s\t%s\n", i.Library, i.Version, i.Provider)
			return nil
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "version to fetch (default: the newest that is known)")
	return cmd
}
