//go:build unix && !aix && !solaris

package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow opens no link, and does not wait.
const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK

// flock takes an exclusive lock on an open file without waiting; false when another
// open file has it. The system frees it when the file is closed, so also when the
// process is killed.
func flock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return err == nil, err
		}
	}
}
