package storage

import "time"

// Presign returns a URL by which anyone may read an object at a storage until it expires, without
// a key. It makes no request.
func Presign(r Reader, bucket, key string, expires time.Duration) (string, error) {
	c, err := connOf(r)
	if err != nil {
		return "", err
	}
	return c.wire.Presign(c.Physical(bucket), key, expires), nil
}
