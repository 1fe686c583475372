package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/transfer"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate-store --from <store> --to <store>",
		Short: "Takes the catalogue and its pending work from one store to another",
		Long: `
Takes everything from one store to another one, which must be empty: resources,
copies and where they stand, pending work with its holds and attempts, objects
copied on demand, uploads under way, the paused switch.

Stop every instance first. The source is only read. When everything is there,
the target is read back and compared. A run that was interrupted leaves a target
that no instance starts on; run the command again, it starts over.

Literal secrets are opened with the source's encryption key and sealed with the
target's. A SQLite store without an encryption_key has its key file beside it.
`,
		Args: cobra.NoArgs,
		RunE: runMigrate,
	}
	cmd.Flags().String("from", "", "the store to read, <type>:<argument>")
	cmd.Flags().String("to", "", "the empty store to fill, <type>:<argument>")
	keyFlags(cmd, "from-", "the source")
	keyFlags(cmd, "to-", "the target")
	return cmd
}

func runMigrate(cmd *cobra.Command, _ []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	from, err := storeOfFlags(cmd, "from", "from-")
	if err != nil {
		return err
	}
	to, err := storeOfFlags(cmd, "to", "to-")
	if err != nil {
		return err
	}
	if from.module.StoreKey() == to.module.StoreKey() {
		return errors.New("--from and --to: both name the same store")
	}
	if err := strongNewKey("to-", to.key); err != nil {
		return err
	}
	source, err := from.open(ctx, toRead)
	if err != nil {
		return err
	}
	target, err := to.open(ctx, toFill)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	counts, err := transfer.Move(ctx, source, target, transfer.Options{
		Source:   from.module.StoreKey(),
		Progress: (&progressLines{cmd: cmd}).show,
	})
	if err := errors.Join(adviseKey(err), source.Close(), target.Close()); err != nil {
		return err
	}
	var result strings.Builder
	for _, c := range counts {
		fmt.Fprintf(&result, "%9d %s\n", c.N, c.What)
	}
	result.WriteString("The target holds the same as the source. Name it in the configuration of every instance, and start them.\n")
	_, err = io.WriteString(cmd.OutOrStdout(), result.String())
	return err
}

// storeOfFlags reads a store's flag and the flags of its key.
func storeOfFlags(cmd *cobra.Command, name, keyPrefix string) (storeSpec, error) {
	text := flagText(cmd, name)
	if text == "" {
		return storeSpec{}, fmt.Errorf("--%s: not given: expected <type>:<argument>, such as sqlite:/var/lib/fado.db or postgres:<dsn>", name)
	}
	s, err := parseStore(name, text)
	if err != nil {
		return s, err
	}
	s.key, err = readKey(cmd, keyPrefix)
	return s, err
}

// adviseKey says what to do when the target has no key for literal secrets.
func adviseKey(err error) error {
	if errors.Is(err, state.ErrNoKey) {
		return fmt.Errorf("%w (--from-key or --from-key-file is the source's key, --to-key or --to-key-file the target's)", err)
	}
	return err
}

// progressLines prints on standard error how far a transfer is, a line a second.
type progressLines struct {
	cmd  *cobra.Command
	last time.Time
	what string
}

func (l *progressLines) show(p transfer.Progress) {
	verb := "copied"
	if p.Verifying {
		verb = "read back"
	}
	if what := verb + p.What; what != l.what || time.Since(l.last) >= time.Second {
		l.what, l.last = what, time.Now()
		l.cmd.PrintErrf("%s: %d %s\n", p.What, p.Done, verb)
	}
}

// checkComplete refuses to run on a store that a transfer did not fill completely.
func checkComplete(ctx context.Context, s state.Store) error {
	if err := transfer.Check(ctx, s); err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	return nil
}
