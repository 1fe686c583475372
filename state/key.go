package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// keyFileSize is the size of a key file: 32 random bytes.
const keyFileSize = 32

// Key is what the secrets of a store are sealed with: a passphrase that the
// configuration gives, or the random content of a key file. It never prints itself.
type Key struct {
	secret []byte
	kdf    string
	source string // where people find it, for errors
}

// PassphraseKey returns the key that a configured encryption key makes.
func PassphraseKey(passphrase []byte) Key {
	return Key{secret: passphrase, kdf: kdfScrypt, source: "the configured encryption_key"}
}

// String names the key's source, never the key.
func (k Key) String() string { return k.source }

// GoString is String, so that no verb prints the key.
func (k Key) GoString() string { return k.source }

// ReadKeyFile reads a key file. A file that is not there is an fs.ErrNotExist; one
// that others than its owner may read or that is not a key is an ErrNoKey.
func ReadKeyFile(path string) (Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Key{}, fmt.Errorf("reading key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return Key{}, fmt.Errorf("key file %s has mode %04o, others than its owner may use it: run chmod 600 on it, and change the secrets if another user may have read it: %w", path, mode, ErrNoKey)
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("reading key file: %w", err)
	}
	if len(secret) != keyFileSize {
		return Key{}, fmt.Errorf("key file %s holds %d bytes, expected %d: put the right file back: %w", path, len(secret), keyFileSize, ErrNoKey)
	}
	return fileKey(secret, path), nil
}

// CreateKeyFile makes a key file of random bytes that only its owner can read. The
// file is on disk when it returns: nothing may be sealed with a key that a power cut
// can take away. An existing file is left alone, and an fs.ErrExist; the caller sees to
// it that no other process makes one at the same moment.
func CreateKeyFile(path string) (Key, error) {
	secret := make([]byte, keyFileSize)
	rand.Read(secret) // never fails: crypto/rand crashes the program instead
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return Key{}, fmt.Errorf("creating key file %s: %w", path, errors.Join(fs.ErrExist, err))
	}
	// Written beside and renamed, so that a key file is never there half-written.
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return Key{}, fmt.Errorf("creating key file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // renamed, or of no use
	_, err = tmp.Write(secret)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return Key{}, fmt.Errorf("writing key file: %w", err)
	}
	if err := PlaceKeyFile(tmp.Name(), path); err != nil {
		return Key{}, err
	}
	return fileKey(secret, path), nil
}

// PlaceKeyFile gives a key file another name in the same directory, in place of the one
// that has it; on disk when it returns.
func PlaceKeyFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("putting key file in place: %w", err)
	}
	if err := SyncDir(filepath.Dir(to)); err != nil {
		return fmt.Errorf("putting key file in place: %w", err)
	}
	return nil
}

func fileKey(secret []byte, path string) Key {
	return Key{secret: secret, kdf: kdfHKDF, source: "key file " + path}
}

// SyncDir makes the entries of a directory durable, where the system can.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories can't be opened for that, and NTFS journals them
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
