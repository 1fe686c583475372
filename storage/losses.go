package storage

import (
	"context"
	"net/http"
)

// What is legal is copied, and what is lost is named: what a storage can't keep (Capabilities),
// what a bucket is configured with (Settings), and what single objects have that their
// copies have not (CopyOptions.Lost). All are subjects of "... are not kept".

const (
	lostLocks      = "retention periods and legal holds"
	lostEncryption = "encryption settings"
	lostRedirects  = "website redirects"
)

// Settings is what a bucket is configured with that FaDO does not carry over.
type Settings struct {
	Lock, Encryption, Lifecycle, Policy, CORS bool
}

// Settings implements [Reader].
func (c buckets) Settings(ctx context.Context, bucket string) (s Settings, err error) {
	for _, q := range []struct {
		name string
		has  *bool
	}{
		{"object-lock", &s.Lock}, {"encryption", &s.Encryption}, {"lifecycle", &s.Lifecycle}, {"policy", &s.Policy}, {"cors", &s.CORS},
	} {
		if *q.has, err = c.wire.Buckets.Configured(ctx, c.Physical(bucket), q.name); err != nil {
			return Settings{}, err
		}
	}
	return s, nil
}

// Losses of a copy whose bucket is configured as to says. Locks are kept where versions are
// preserved.
func (from Settings) Losses(to Settings, preserved bool) (losses []string) {
	for _, l := range []struct {
		lost bool
		what string
	}{
		{from.Lock && !(to.Lock && preserved), lostLocks},
		{from.Encryption && !to.Encryption, lostEncryption},
		{from.Lifecycle && !to.Lifecycle, "lifecycle rules"},
		{from.Policy && !to.Policy, "bucket policies"},
		{from.CORS && !to.CORS, "CORS rules"},
	} {
		if l.lost {
			losses = append(losses, l.what)
		}
	}
	return losses
}

// tellLosses tells the caller what the object at src has, by its headers, and the copy, by
// the answer to its write, has not.
func (t *transfer) tellLosses(src, answer http.Header) {
	if t.opts.Lost == nil {
		return
	}
	if lockOf(src) != "" && !t.locks && !t.opts.Unlocked {
		t.opts.Lost(lostLocks)
	}
	if src.Get("X-Amz-Server-Side-Encryption") != "" && answer.Get("X-Amz-Server-Side-Encryption") == "" {
		t.opts.Lost(lostEncryption)
	}
	if src.Get(redirect) != "" && t.to.DropsRedirects {
		t.opts.Lost(lostRedirects)
	}
}
