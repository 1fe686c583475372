package state

import "context"

// Movable is what a Store offers besides, so that its content can be taken to another
// engine (package transfer). Only one process uses the stores meanwhile.
type Movable interface {
	Store

	// EachMeta streams the small named values that are not "", sorted by name.
	EachMeta(ctx context.Context, f func(key, value string) error) error
	// Clear removes every resource, copy, pending row, object copied on demand and upload,
	// report, pass and what people asked for, and the meta values last: a call that was interrupted is to be made again. Numbers
	// once given (Seq, Gen) are not given again, and the key that seals secrets stays.
	Clear(ctx context.Context) error
	// RaiseSeq ensures that the next change gets a higher Seq than this one: an ETag
	// that people hold from the store before must not come to mean another content.
	RaiseSeq(ctx context.Context, to Seq) error
}

// KeyRotator is a Store that can seal its secrets with another key.
type KeyRotator interface {
	// RotateKey seals every literal secret again with the key that a passphrase makes, or
	// with a new key file where the passphrase is empty and the store keeps one. Whatever
	// interrupts it, the secrets are sealed with exactly one of the keys, the former or
	// the new one, and the store opens with that. It returns how many resources hold
	// secrets that were sealed again. Nothing else uses this Store meanwhile.
	RotateKey(ctx context.Context, passphrase []byte) (int, error)
}
