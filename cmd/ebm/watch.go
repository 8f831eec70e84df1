package main

import (
	"github.com/spf13/cobra"

	"ebm/cmd/internal/watch"
)

func newWatch(a *app) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "watch DIR",
		Short: "Show the runs below a folder on a page, while they go on",
		Long: `watch prints the address of a page on this machine that shows the runs below DIR:
progress, loss, speed and time left, folders of samples as they fill, and for each
run, or several beside each other, all metrics and the newest grids. It reads
only, and answers this machine only. It ends with Ctrl+C.`,
		Example: "  ebm watch runs\n  ebm watch runs --address 127.0.0.1:8080",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return watch.Serve(cmd.Context(), watch.Options{
				Dir: args[0], Address: address, Ready: func(url string) { a.printf("%s\n", url) },
			})
		},
	}
	cmd.Flags().StringVar(&address, "address", "", "where the page is: a loopback address and a port (default a free port of 127.0.0.1)")
	return cmd
}
