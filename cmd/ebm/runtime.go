package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ebm/runtime"
)

func newRuntime(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "runtime", Short: "Say which ONNX Runtime is used, or install another build", Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("want 'runtime info', 'runtime install' or 'runtime uninstall'")
		},
	}
	cmd.AddCommand(newRuntimeInfo(a), newRuntimeInstall(a), newRuntimeUninstall(a))
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
			if i.Provider == runtime.CPU {
				a.printf("threads    %d\n", i.Threads)
			} else {
				a.printf("device     %s\n", runtime.ListDevices(i.Devices))
			}
			if i.Adapter != "" {
				a.printf("adapter    %s\n", i.Adapter)
			}
			if i.Fallback != "" {
				a.printf("no device  %s\n", i.Fallback)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// forPages is what runtime install takes as a provider beside those of sessions:
// onnxruntime-web, which computes in pages.
const forPages = "web"

func newRuntimeInstall(a *app) *cobra.Command {
	var version string
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "install [FILE…]",
		Short: "Put a build of ONNX Runtime into the user cache",
		Long: `install takes ONNX Runtime from archives that you have: a release archive
(.tgz, .zip), a PyPI wheel (onnxruntime, onnxruntime-gpu, or onnxruntime with
onnxruntime-ep-webgpu) or an npm tarball (onnxruntime-node, or the GPU providers
with a main library of the same version). Without files it fetches a known build
through the pip or npm client, by version and SHA-256; where neither --provider
nor --version says which, it asks first. --provider cuda asks for the CUDA
providers, --provider webgpu for the plugin that computes on any GPU, and
--provider web for onnxruntime-web, which pages are made with. Commands then use
what is installed in place of the library that comes with the program.`,
		Example: `  ebm runtime install onnxruntime-linux-x64-gpu-1.29.0.tgz
  ebm runtime install --provider cuda
  ebm runtime install --provider webgpu`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if a.provider == forPages {
				dir, err := runtime.InstallWeb(cmd.Context(), runtime.InstallOptions{Files: files, Log: a.log})
				if err != nil {
					return err
				}
				a.printf("%s\tonnxruntime-web\n", dir)
				return nil
			}
			c, err := a.config()
			if err != nil {
				return err
			}
			o := runtime.InstallOptions{Files: files, Provider: c.Provider, Version: version, Log: a.log}
			if len(files) == 0 {
				what, dir, err := runtime.Wanted(o)
				if err != nil {
					return usageError{err}
				}
				said := yes || cmd.Flags().Changed("provider") || cmd.Flags().Changed("version")
				what = fmt.Sprintf("fetch %s into %s, and have every command use it", what, dir)
				if err := a.confirm(cmd.Context(), cmd.InOrStdin(), said, what); err != nil {
					return err
				}
			}
			i, err := runtime.Install(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.answer(asJSON, i, "%s\tversion %s\t%s\n", i.Library, i.Version, i.Provider)
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "version to fetch (default: the newest that is known)")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was installed as JSON")
	return cmd
}

func newRuntimeUninstall(a *app) *cobra.Command {
	var version string
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove builds of ONNX Runtime from the user cache",
		Long: `uninstall removes what install has put into the user cache, all of it or the
builds that --version and --provider name. Commands then use the library that
comes with the program again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			list, err := runtime.InstalledBuilds("")
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(i runtime.Installed) bool {
				return version != "" && i.Version != version || c.Provider != runtime.Auto && i.Provider != c.Provider
			})
			if len(list) > 0 {
				var dirs []string
				for _, i := range list {
					dirs = append(dirs, i.Dir)
				}
				if err := a.confirm(cmd.Context(), cmd.InOrStdin(), yes, "remove "+strings.Join(dirs, ", ")); err != nil {
					return err
				}
			}
			for _, i := range list {
				if err := runtime.Uninstall(i); err != nil {
					return err
				}
			}
			if asJSON {
				return a.printJSON(slices.Concat([]runtime.Installed{}, list)) // a list, also of none
			}
			for _, i := range list {
				a.printf("removed %s\n", i.Dir)
			}
			if len(list) == 0 {
				a.log("no such build is installed")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "version to remove (default: every version)")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was removed as JSON")
	return cmd
}
