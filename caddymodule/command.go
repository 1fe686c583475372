package caddymodule

import (
	"fmt"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/fado-project/fado/cli"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "fado",
		Usage: "<command>",
		Short: "Works with a running FaDO, or on its store while no instance uses it",
		Long: `
Most commands ask a running FaDO through Caddy's admin endpoint; --address says
where that is, as with Caddy's own commands. backup, restore, migrate-store and
rotate-key work on the store in which FaDO keeps its catalogue and its pending work.

A store is named as in the Caddyfile, with a colon for the space:
"sqlite:/var/lib/fado.db", "sqlite:" for the default path, "postgres:<dsn>".

Other users of the machine can read a command line. So passwords and keys are
given as placeholders, as in the Caddyfile, or by the name of a file:
"postgres:postgres://fado:{env.FADO_PASSWORD}@db/fado", "{file./run/secrets/key}".
`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.RunE, cmd.SuggestionsMinimumDistance = runNone, 2
			cmd.AddCommand(migrateCommand(), rotateCommand(), signInCommand(), backupCommand(), restoreCommand(), validateCommand())
			cmd.AddCommand(cli.Commands()...)
		},
	})
}

// runNone is what "caddy fado" does without a command that there is: help, or an error for what is
// none, which cobra would answer with help and no error.
func runNone(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || args[0] == "help" {
		return cmd.Help()
	}
	err := fmt.Errorf("%q: no such command; %s --help lists them", args[0], cmd.CommandPath())
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		err = fmt.Errorf("%q: no such command; did you mean %s?", args[0], strings.Join(like, " or "))
	}
	return err
}
