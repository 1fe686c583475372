package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/state/transfer"
)

func backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup --store <store> --to <file>",
		Short: "Writes a consistent copy of a store to a file",
		Long: `
Writes a copy of a store to a file, which must not be there yet: of one moment,
whether instances use the store or not. The file is a SQLite store, whatever the
store is; only its owner may read it. "caddy fado restore" fills a store from it.

Literal secrets stay sealed. The key is not in the file; the command says which
one it is. Of a PostgreSQL store it is the encryption_key given with --key or
--key-file, which is needed if the store has literal secrets.
`,
		Args: cobra.NoArgs,
		RunE: runBackup,
	}
	cmd.Flags().String("store", "", "the store, <type>:<argument>")
	cmd.Flags().String("to", "", "the file to write")
	keyFlags(cmd, "", "the store")
	return cmd
}

func runBackup(cmd *cobra.Command, _ []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	spec, err := storeOfFlags(cmd, "store", "")
	if err != nil {
		return err
	}
	to := flagText(cmd, "to")
	if to == "" {
		return errors.New("--to: not given: expected the name of a file")
	}
	if to, err = filepath.Abs(to); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("--to: %s is there already: expected a file that is not", to)
	}
	lite, isLite := spec.module.(*SQLite)
	if isLite {
		err = sqlite.Backup(ctx, lite.path, to)
	} else {
		err = copyToFile(ctx, cmd, spec, to)
	}
	if err != nil {
		return fmt.Errorf("--store: %w", adviseKey(err))
	}
	key := "If the store has literal secrets, they are sealed in it with its encryption_key: keep that elsewhere; without it they are lost.\n"
	if isLite && spec.key == "" {
		key = "Literal secrets in it are sealed with your encryption_key or, where none is configured, with the key file " + sqlite.KeyFile(lite.path) +
			":\nkeep a copy of that elsewhere; without it they are lost.\n"
	}
	_, err = io.WriteString(cmd.OutOrStdout(), "The backup is "+to+"; only its owner may read it.\n"+key)
	return err
}

// copyToFile copies any store, as it is at one moment, to a new SQLite file.
func copyToFile(ctx context.Context, cmd *cobra.Command, from storeSpec, to string) (err error) {
	source, err := from.open(ctx, toCopy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	_, noKey := os.Lstat(sqlite.KeyFile(to))
	target, err := sqlite.Open(ctx, sqlite.Options{Path: to, Key: []byte(from.key), Log: caddy.Log().Named("fado.store")})
	if err != nil {
		return err
	}
	_, err = transfer.Move(ctx, source, target, transfer.Options{
		Source: from.module.StoreKey(), OneMoment: true, Progress: (&progressLines{cmd: cmd}).show,
	})
	err = errors.Join(err, target.Close())
	leftovers := []string{to + ".lock"}
	if err != nil {
		leftovers = append(leftovers, to, to+"-wal", to+"-shm")
	}
	if noKey != nil { // else it is not of this backup; one made for it seals nothing, since all is sealed with from.key
		leftovers = append(leftovers, sqlite.KeyFile(to))
	}
	for _, name := range leftovers {
		if gone := os.Remove(name); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

func restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore --from <file> --to <store>",
		Short: "Fills an empty store from a backup",
		Long: `
Fills an empty store from a file that "caddy fado backup" wrote, and leaves
replication paused: the catalogue is that of the backup, the data in the storages
is today's, so look first and resume then. The command says what to look at.

Stop every instance first. Literal secrets are opened with the backup's key
(--from-key, or a key file beside it, named as the backup with .key behind) and
sealed with the target's.
`,
		Args: cobra.NoArgs,
		RunE: runRestore,
	}
	cmd.Flags().String("from", "", "the backup")
	cmd.Flags().String("to", "", "the empty store to fill, <type>:<argument>")
	keyFlags(cmd, "from-", "the backup")
	keyFlags(cmd, "to-", "the store")
	return cmd
}

func runRestore(cmd *cobra.Command, _ []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	file := flagText(cmd, "from")
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("--from: expected a backup: %w", err)
	}
	from := storeSpec{name: "from", module: &SQLite{path: file}}
	if from.key, err = readKey(cmd, "from-"); err != nil {
		return err
	}
	to, err := storeOfFlags(cmd, "to", "to-")
	if err != nil {
		return err
	}
	if err := strongNewKey("to-", to.key); err != nil {
		return err
	}
	counts, err := restore(ctx, cmd, from, to)
	if err != nil {
		return adviseKey(err)
	}
	var text strings.Builder
	for _, c := range counts {
		if c.N > 0 {
			fmt.Fprintf(&text, "%9d %s\n", c.N, c.What)
		}
	}
	fmt.Fprintf(&text, afterRestore, info.ModTime().UTC().Format(time.RFC3339))
	_, err = io.WriteString(cmd.OutOrStdout(), text.String())
	return err
}

// restore fills a store, and has no instance work by it before people say so.
func restore(ctx context.Context, cmd *cobra.Command, from, to storeSpec) (counts transfer.Counts, err error) {
	source, err := from.open(ctx, toRead)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := to.open(ctx, toFill)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	counts, err = transfer.Move(ctx, source, target, transfer.Options{
		Source: from.module.StoreKey(), Paused: true, Progress: (&progressLines{cmd: cmd}).show,
	})
	return counts, err
}

// afterRestore says what an old catalogue does to today's data.
const afterRestore = `The store holds what the backup of %s held, and replication is paused. Start an instance and look before you resume it:
- Nothing is overwritten or removed that FaDO did not write or compare. What it can't tell becomes a conflict or stops the bucket.
- A bucket made since is unknown. Its data stays; create the bucket again under its name, with its primary, to import it.
- A bucket deleted since is back. If its data is to stay as it is, delete the bucket again (without purge).
- A bucket whose primary has moved since counts the former one as its primary. Delete it (its data stays) and create it with today's primary.
- A cluster abandoned or a policy changed since is as it was: change it again first. An old policy may allow what is forbidden by now.
- Purges, and decisions about conflicts and deletes, that were under way then go on.
Then: POST /fado/replication/resume. Every copy is compared before it is a hit again.
`
