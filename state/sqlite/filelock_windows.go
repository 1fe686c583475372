package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// noFollow is nothing here: making links takes a privilege.
const noFollow = 0

// lockOffset is where the locked byte lies: beyond the content, because Windows
// forbids others to read what is locked.
const lockOffset = 1 << 30

// flock takes an exclusive lock on an open file without waiting; false when another
// open file has it. The system frees it when the file is closed, so also when the
// process is killed.
func flock(f *os.File) (bool, error) {
	at := &windows.Overlapped{Offset: lockOffset}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
