package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/state"
)

func rotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-key --store <store>",
		Short: "Seals the literal secrets of a store with another encryption key",
		Long: `
Seals every literal secret of a store with another encryption key, all of them or
none: whatever interrupts it, the store opens with exactly one of the keys.

A SQLite store must not be in use. Instances that share a PostgreSQL store may go
on, if each has been started with both keys before ("encryption_key <new> <former>");
--online says so.

Without --new-key a SQLite store gets a new key file beside it, in place of the
former one; a crash in between is mended when the store is opened.

The secrets themselves stay the same. If they may have been exposed, change them
at the storages.
`,
		Args: cobra.NoArgs,
		RunE: runRotate,
	}
	cmd.Flags().String("store", "", "the store, <type>:<argument>")
	cmd.Flags().Bool("online", false, "every instance that runs has both keys")
	keyFlags(cmd, "", "now")
	keyFlags(cmd, "new-", "from now on")
	return cmd
}

func runRotate(cmd *cobra.Command, _ []string) (err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	spec, err := storeOfFlags(cmd, "store", "")
	if err != nil {
		return err
	}
	newKey, err := readKey(cmd, "new-")
	if err != nil {
		return err
	}
	if newKey != "" && newKey == spec.key {
		return errors.New("--new-key: it is the same as the present key: expected another one")
	}
	if err := strongNewKey("new-", newKey); err != nil {
		return err
	}
	store, err := spec.open(ctx, toChange)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	rotator, ok := store.(state.KeyRotator)
	if !ok {
		return fmt.Errorf("--store: a %s store can't change its key", store.Kind())
	}
	if err := checkOnline(ctx, store, flagText(cmd, "online") == "true"); err != nil {
		return err
	}
	n, err := rotator.RotateKey(ctx, []byte(newKey))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d clusters have literal secrets; they are sealed with the new key.\n%s\n", n, rotateAdvice(spec.key, newKey))
	return err
}

// checkOnline refuses to rotate beside running instances unless the operator confirms that
// they know the new key: without it they could neither read secrets nor change clusters.
func checkOnline(ctx context.Context, store state.Store, online bool) error {
	shared, ok := store.(state.Shared)
	if !ok || online {
		return nil
	}
	members, err := shared.Instances().Members(ctx)
	if err != nil || len(members) == 0 {
		return err
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Node
	}
	return fmt.Errorf("%d instances use the store (%s): start each with encryption_key <new> <former> first, then give --online; or stop them", len(members), strings.Join(names, ", "))
}

// rotateAdvice says what is left to do, depending on where the keys come from; "" is the
// key file beside the store.
func rotateAdvice(from, to string) string {
	switch {
	case from == "" && to == "":
		return "The new key file is in place. Backups of before need the former one."
	case to == "":
		return "The key file is beside the store. Take encryption_key out of the configuration."
	case from == "":
		return "Configure the new key as encryption_key. The key file beside the store is of use for backups of before only."
	default:
		return "Configure the new key as encryption_key, alone. Backups of before need the former one."
	}
}
