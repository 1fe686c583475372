package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"go.uber.org/zap"
	_ "modernc.org/sqlite" // the database/sql driver "sqlite"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const (
	readerConns = 4
	// fullCheckBytes is the size up to which a file is checked as a whole when it is
	// opened (below a second); of larger ones, samples are.
	fullCheckBytes = 64 << 20
)

// open fills in the store; on an error the caller closes what was opened.
func (s *core) open(ctx context.Context, o Options) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.Path == "" {
		return errors.New("opening the store: no path given")
	}
	s.path, s.mustExist = o.Path, o.MustExist
	path, err := resolvePath(o.Path, o.ReadOnly || o.MustExist)
	if errors.Is(err, fs.ErrNotExist) && o.MustExist {
		err = fmt.Errorf("there is no store: expected the file that FaDO uses: %w", err)
	}
	if err != nil {
		return s.wrap("opening the store", err)
	}
	s.path = path
	if s.lock, err = lockFile(s.path); err != nil {
		return s.wrap("opening the store", err)
	}
	s.checkDirectory()
	if o.ReadOnly {
		return s.openReadOnly(ctx, o)
	}
	if err := s.prepareFile(); err != nil {
		return s.wrap("opening the store", err)
	}
	if err := s.openWriter(ctx); err != nil {
		return s.wrap("opening the store", err)
	}
	if s.sealer, err = s.openSealer(ctx, o); err != nil {
		return s.wrap("opening the secrets of "+s.path, err)
	}
	db, err := sql.Open("sqlite", dsn(s.path, "query_only(1)", "busy_timeout(5000)", "cache_size(-4096)"))
	if err != nil {
		return s.wrap("opening the store", err)
	}
	db.SetMaxOpenConns(readerConns)
	db.SetMaxIdleConns(readerConns)
	s.r = &readers{db: db}
	return s.wrap("opening the store", db.PingContext(ctx))
}

// maxLinks is how many links in a row a path may be.
const maxLinks = 40

// resolvePath makes the parent directory and returns the file's one true name: two
// names of one file must meet at the same lock. A file that is to be read must be there.
func resolvePath(path string, mustExist bool) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if mustExist {
		return filepath.EvalSymlinks(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	for range maxLinks { // a link to a file that is not there yet names it as well
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		return filepath.Join(dir, filepath.Base(path)), err
	}
	return real, err
}

// checkDirectory warns where others than the owner may put files in place of the store's.
func (s *core) checkDirectory() {
	dir := filepath.Dir(s.path)
	info, err := os.Stat(dir)
	if err != nil || runtime.GOOS == "windows" {
		return
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		s.log.Warn("others may write to the store's directory, and put files in place of the store's; take that right from them (chmod go-w)",
			zap.String("directory", dir), zap.String("mode", fmt.Sprintf("%04o", mode)))
	}
}

// lockFile keeps other processes, and other stores of this one, from a database. The
// lock is on a file of its own: closing any descriptor of the database's would end
// SQLite's locks on it.
func lockFile(path string) (*os.File, error) {
	// Who may make files beside the database must not have another file written to: the
	// lock is no link, and not opened for long if it is a pipe.
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s.lock is a link, expected a file: remove it, and find out who made it: %w", path, state.ErrUnavailable)
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s.lock is not a regular file: remove it: %w", path, state.ErrUnavailable), err, f.Close())
	}
	ok, err := flock(f)
	if err == nil && !ok {
		owner, _ := io.ReadAll(io.LimitReader(f, 32)) // only to tell people
		err = fmt.Errorf("%s is in use by process %s: a SQLite store serves one instance; stop the other one, or name another file: %w",
			path, bytes.TrimSpace(owner), state.ErrUnavailable)
	}
	if err == nil {
		err = errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n"))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// prepareFile makes the file for the owner only (SQLite gives its side files the same
// mode), or takes rights of others away. The new file's entry is on disk with the first
// commit, because SQLite syncs the directory after making the log in it.
func (s *core) prepareFile() error {
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: %w", s.path, state.ErrUnavailable)
	}
	if err := checkMagic(f); err != nil {
		return s.adviseCorrupt(err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		s.log.Warn("other users could read the store; restricting its mode to the owner",
			zap.String("file", s.path), zap.String("mode", fmt.Sprintf("%04o", mode)))
		return f.Chmod(0o600)
	}
	return nil
}

// checkMagic refuses a file that does not begin as a SQLite database does: SQLite takes
// a very small one for an empty database, and would overwrite it.
func checkMagic(f *os.File) error {
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(head[:n]) != magic[:n] {
		return fmt.Errorf("not a SQLite database: %w", state.ErrCorrupt)
	}
	return nil
}

// dsn returns the data source name of a file with pragmas.
func dsn(path string, pragmas ...string) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // file:///C:/...
	}
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: url.Values{"_pragma": pragmas, "_dqs": {"0"}, "_error_rc": {"1"}}.Encode()}
	return u.String()
}

// openWriter opens the connection that writes, and brings the schema up to date. A
// file that is not to be used is not touched.
func (s *core) openWriter(ctx context.Context) error {
	db, err := sql.Open("sqlite", dsn(s.path, "busy_timeout(5000)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	version, err := s.examine(ctx, db)
	if err == nil && version == 0 {
		if s.mustExist {
			return errors.Join(fmt.Errorf("%s has no store in it: expected the file that FaDO uses: %w", s.path, state.ErrUnavailable), db.Close())
		}
		s.log.Warn("made a new, empty store; if there should be one, the path or the volume is not the one that was meant", zap.String("file", s.path))
	}
	if err == nil && version < stored.SchemaVersion {
		err = migrate(ctx, db, s.log)
	}
	if err != nil {
		return errors.Join(s.adviseCorrupt(err), db.Close())
	}
	conn, err := db.Conn(ctx) // the same one, which is set up
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.w = newWriter(db, conn)
	return nil
}

// examine looks for damage, and sets the connection up where there is none.
func (s *core) examine(ctx context.Context, db *sql.DB) (version int, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }() // back to db
	if version, err = schemaVersion(ctx, conn, s.path); err != nil {
		return 0, err
	}
	if version > 0 {
		if err := s.check(ctx, conn); err != nil {
			return 0, err
		}
	}
	return version, configure(ctx, conn)
}

// adviseCorrupt tells people what they can do about a damaged file.
func (s *core) adviseCorrupt(err error) error {
	if known := classify(err); errors.Is(known, state.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", state.ErrCorrupt, err)
	}
	if !errors.Is(err, state.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%s is damaged or not a store: restore it from a backup, or move it away (with its -wal and -shm files) to start with an empty one: %w", s.path, err)
}

// configure sets what holds for the connection, and the journal mode of the file.
func configure(ctx context.Context, conn *sql.Conn) error {
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not support SQLite's write-ahead log (journal mode %q): %w", mode, state.ErrUnavailable)
	}
	_, err := conn.ExecContext(ctx, `
		PRAGMA synchronous = FULL;
		PRAGMA cache_size = -16384;
		PRAGMA temp_store = MEMORY;
		PRAGMA wal_autocheckpoint = 4000;
		PRAGMA journal_size_limit = 67108864;`)
	return err
}

// check looks for damage: whether the file was cut short, then a file of moderate size
// as a whole, of a larger one both ends of every table and index. What it does not see
// turns up as an ErrCorrupt when it is read.
func (s *core) check(ctx context.Context, conn *sql.Conn) error {
	size, err := s.checkSize(ctx, conn)
	if err != nil {
		return err
	}
	if size > fullCheckBytes {
		return sampleCheck(ctx, conn)
	}
	var found string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("%s: %w", found, state.ErrCorrupt)
	}
	return nil
}

// checkSize returns the file's size, which must be that of its pages once those in the
// write-ahead log were merged into it. Where they can't be (disk full), nothing is said.
func (s *core) checkSize(ctx context.Context, conn *sql.Conn) (int64, error) {
	var busy, inLog, merged, pages, pageSize int64
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &inLog, &merged); err != nil {
		s.log.Warn("merging the store's log failed; will retry", zap.String("file", s.path), zap.Error(err))
		busy = 1
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return 0, err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&pageSize); err != nil {
		return 0, err
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return 0, err
	}
	if busy == 0 && info.Size() < pages*pageSize {
		return 0, fmt.Errorf("the file was cut short, to %d of %d bytes: %w", info.Size(), pages*pageSize, state.ErrCorrupt)
	}
	return info.Size(), nil
}

// sampleCheck reads the first and last row of every table that the file's version has.
func sampleCheck(ctx context.Context, conn *sql.Conn) error {
	for _, order := range []string{
		"resources ORDER BY kind %s, name %s", "referrers ORDER BY to_kind %s, to_name %s",
		"copies ORDER BY bucket %s, prefix %s", "pending ORDER BY id %s, id %s",
		"pending ORDER BY bucket %s, key %s", "pending ORDER BY bucket %s, cluster %s",
		"backlog ORDER BY bucket %s, cluster %s", "changes ORDER BY id %s, id %s",
		"pulled ORDER BY bucket %s, key %s", "uploads ORDER BY bucket %s, key %s",
		"purges ORDER BY id %s, bucket %s", "purge_keys ORDER BY bucket %s, cluster %s",
		"verifications ORDER BY bucket %s, bucket %s", "mismatches ORDER BY bucket %s, key %s",
	} {
		var there bool
		table, _, _ := strings.Cut(order, " ")
		if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)", table).Scan(&there); err != nil {
			return err
		}
		if !there {
			continue
		}
		for _, dir := range []string{"ASC", "DESC"} {
			if err := readThrough(ctx, conn, "SELECT * FROM "+fmt.Sprintf(order, dir, dir)+" LIMIT 1"); err != nil {
				return err
			}
		}
	}
	return nil
}

// readThrough runs a query for its errors only.
func readThrough(ctx context.Context, conn *sql.Conn, query string) error {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}
