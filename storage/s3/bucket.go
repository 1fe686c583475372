package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
)

// Buckets makes buckets, and asks for what they are set to and sets it.
type Buckets struct{ c *Client }

// Versioning asks for a bucket's versioning: "Enabled", "Suspended" or "". Storages without
// versions say so by an error of their own; for them it asks whether the bucket is there.
func (b Buckets) Versioning(ctx context.Context, bucket string) (string, error) {
	q := VersioningRequest(bucket)
	var x struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Status  string
	}
	_, err := b.c.decode(ctx, q, &x)
	var e *Error
	if errors.Is(err, ErrUnsupported) || errors.As(err, &e) && e.Code == "VersioningNotConfigured" { // versitygw without a versioning directory
		return "", headBucket(ctx, b.c, bucket)
	}
	return x.Status, err
}

// VersioningRequest asks for a bucket's versioning.
func VersioningRequest(bucket string) *Request {
	return &Request{
		Name: "asking for the versioning of", Method: http.MethodGet, Bucket: bucket,
		Query: url.Values{"versioning": {""}},
	}
}

// Configured reports whether a bucket has a setting, by its sub-resource ("lifecycle"). A storage
// that does not know of it, or does not tell, has none.
func (b Buckets) Configured(ctx context.Context, bucket, setting string) (bool, error) {
	_, err := b.c.Call(ctx, &Request{
		Name: "asking for the " + setting + " of", Method: http.MethodGet, Bucket: bucket,
		Query: url.Values{setting: {""}}, Limit: LimitPing,
	})
	e, refused := errors.AsType[*Error](err)
	refused = refused && e.Status >= 400 && e.Status < 500 && !errors.Is(err, ErrNoBucket) // each setting has a code of its own for none
	if err == nil || refused || errors.Is(err, ErrUnsupported) {
		return err == nil, nil
	}
	return false, err
}

// Answers asks for a listing of none of a bucket's objects.
func (b Buckets) Answers(ctx context.Context, bucket string) error {
	return headBucket(ctx, b.c, bucket)
}

// headBucket reports whether a bucket is there by asking for a listing of none of its
// objects: unlike that of HEAD, the answer has a reason.
func headBucket(ctx context.Context, c *Client, bucket string) error {
	_, err := c.Call(ctx, &Request{
		Name: "listing", Method: http.MethodGet, Bucket: bucket,
		Query: url.Values{"list-type": {"2"}, "max-keys": {"0"}},
	})
	return err
}

// EnableVersioning switches a bucket's versioning on, and asks whether it is.
func (b Buckets) EnableVersioning(ctx context.Context, bucket string) error {
	q := &Request{Name: "switching versioning on", Bucket: bucket}
	if err := admin(ctx, b.c, q, func(ctx context.Context) error { return b.c.api.EnableVersioning(ctx, bucket) }); err != nil {
		return err
	}
	switch status, err := b.Versioning(ctx, bucket); {
	case err != nil:
		return err
	case status != "Enabled":
		return b.c.at.fail(q, ErrUnavailable, "it was acknowledged, and the bucket says that versioning is %q", status)
	}
	return nil
}

// Make makes a bucket, with object lock if it is to have it, asks whether it is there, and
// reports whether this call made it: the caller may be owner of it already.
func (b Buckets) Make(ctx context.Context, bucket string, locks bool) (made bool, err error) {
	q := &Request{Name: "making bucket", Bucket: bucket}
	o := minio.MakeBucketOptions{Region: b.c.at.Region, ObjectLocking: locks}
	err = admin(ctx, b.c, q, func(ctx context.Context) error { return b.c.api.MakeBucket(ctx, bucket, o) })
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Code {
		case "BucketAlreadyOwnedByYou":
			return false, nil // another was faster, or an answer was lost
		case "BucketAlreadyExists":
			return false, b.c.at.fail(q, ErrDenied, "the bucket belongs to another account")
		}
	}
	if err != nil {
		return false, err
	}
	_, err = b.Versioning(ctx, bucket)
	if errors.Is(err, ErrNoBucket) {
		return false, b.c.at.fail(q, ErrUnavailable, "it was acknowledged, and the bucket is not there")
	}
	return true, err
}

// A LockRule is the retention that a bucket's object lock gives new objects which ask for none:
// GOVERNANCE or COMPLIANCE, for so many DAYS or YEARS. The zero LockRule is none.
type LockRule struct {
	Mode minio.RetentionMode
	For  uint
	Unit minio.ValidityUnit
}

// LockRule asks for the rule of a bucket's object lock, and whether it has object lock at all. A
// storage that does not know of it, or does not tell, has none, as for [Buckets.Configured].
func (b Buckets) LockRule(ctx context.Context, bucket string) (rule LockRule, locks bool, err error) {
	if locks, err = b.Configured(ctx, bucket, "object-lock"); !locks {
		return LockRule{}, false, err
	}
	q := &Request{Name: "asking for the object lock of", Bucket: bucket}
	err = admin(ctx, b.c, q, func(ctx context.Context) error {
		_, mode, validity, unit, err := b.c.api.GetObjectLockConfig(ctx, bucket)
		if err == nil && mode != nil && validity != nil && unit != nil {
			rule = LockRule{*mode, *validity, *unit}
		}
		return err
	})
	return rule, true, err
}

// SetLockRule makes a rule that of a bucket with object lock.
func (b Buckets) SetLockRule(ctx context.Context, bucket string, rule LockRule) error {
	q := &Request{Name: "setting the object lock of", Bucket: bucket}
	return admin(ctx, b.c, q, func(ctx context.Context) error {
		if rule == (LockRule{}) {
			return b.c.api.SetObjectLockConfig(ctx, bucket, nil, nil, nil)
		}
		return b.c.api.SetObjectLockConfig(ctx, bucket, &rule.Mode, &rule.For, &rule.Unit)
	})
}

// admin makes a call of minio-go's, with a watchdog of its own.
func admin(ctx context.Context, c *Client, q *Request, do func(context.Context) error) error {
	ctx, dog := Watch(ctx, c.Waits.Answer)
	defer dog.Stop()
	return c.at.fromMinio(ctx, q, do(ctx))
}
