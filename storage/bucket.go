package storage

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
)

// BucketExists implements [Storage].
func (c *Client) BucketExists(ctx context.Context, bucket string) (bool, error) {
	_, err := c.versioningOf(ctx, bucket)
	switch {
	case errors.Is(err, ErrNoBucket):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// EnsureBucket implements [Storage].
func (c *Client) EnsureBucket(ctx context.Context, bucket string, wantVersions bool) (made bool, err error) {
	state, err := c.versioningOf(ctx, bucket)
	if errors.Is(err, ErrNoBucket) {
		made, err = c.makeBucket(ctx, bucket)
	}
	if err != nil || !wantVersions || state == versioned {
		return made, err
	}
	name := c.Physical(bucket)
	defer c.forgetVersioning(name)
	ctx, dog := watch(ctx, c.answerWait)
	defer dog.stop()
	err = c.api.EnableVersioning(ctx, name)
	return made, c.fromMinio(ctx, "switching versioning on", name, "", err)
}

func (c *Client) makeBucket(ctx context.Context, bucket string) (made bool, err error) {
	name := c.Physical(bucket)
	defer c.forgetVersioning(name)
	ctx, dog := watch(ctx, c.answerWait)
	defer dog.stop()
	err = c.api.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: c.cfg.Region})
	switch minio.ToErrorResponse(err).Code {
	case "BucketAlreadyOwnedByYou":
		return false, nil // somebody was faster, or a lost answer
	case "BucketAlreadyExists":
		e := c.fail(&request{name: "making bucket", bucket: name}, ErrDenied, "the bucket belongs to somebody else")
		return false, e
	}
	return err == nil, c.fromMinio(ctx, "making bucket", name, "", err)
}

// Versioned implements [Storage]. A bucket whose versioning is suspended is not
// versioned.
func (c *Client) Versioned(ctx context.Context, bucket string) (bool, error) {
	s, err := c.versioningOf(ctx, bucket)
	return s == versioned, err
}

// versioningOf asks the storage, and notes the answer for knownVersioning.
func (c *Client) versioningOf(ctx context.Context, bucket string) (versioningState, error) {
	name := c.Physical(bucket)
	q := &request{
		name: "asking for the versioning of", method: http.MethodGet, bucket: name,
		query: url.Values{"versioning": {""}},
	}
	state, err := c.askVersioning(ctx, q)
	if errors.Is(err, ErrUnsupported) {
		state, err = unversioned, c.headBucket(ctx, name) // a storage without versions
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.versioning, name)
		return unversioned, err
	}
	c.versioning[name] = versioningEntry{state: state, until: time.Now().Add(versioningTTL)}
	return state, nil
}

func (c *Client) askVersioning(ctx context.Context, q *request) (versioningState, error) {
	resp, err := c.send(ctx, q)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Code == "VersioningNotConfigured" {
			return unversioned, c.headBucket(ctx, q.bucket) // versitygw without a versioning directory
		}
		return unversioned, err
	}
	defer discard(resp)
	var v struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Status  string
	}
	if err := xml.NewDecoder(resp.Body).Decode(&v); err != nil {
		return unversioned, c.rubbish(q, err)
	}
	switch v.Status {
	case "Enabled":
		return versioned, nil
	case "Suspended":
		return suspended, nil
	default:
		return unversioned, nil
	}
}

func (c *Client) headBucket(ctx context.Context, name string) error {
	_, err := c.call(ctx, &request{
		name: "listing", method: http.MethodGet, bucket: name,
		query: url.Values{"list-type": {"2"}, "max-keys": {"0"}},
	})
	return err
}

// knownVersioning is versioningOf, remembered for a while: every copy needs it.
func (c *Client) knownVersioning(ctx context.Context, bucket string) (versioningState, error) {
	c.mu.Lock()
	e, ok := c.versioning[c.Physical(bucket)]
	c.mu.Unlock()
	if ok && time.Now().Before(e.until) {
		return e.state, nil
	}
	return c.versioningOf(ctx, bucket)
}

func (c *Client) forgetVersioning(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.versioning, name)
}

// RemoveBucket implements [Storage].
func (c *Client) RemoveBucket(ctx context.Context, bucket string) error {
	name := c.Physical(bucket)
	defer c.forgetVersioning(name)
	_, err := c.call(ctx, &request{name: "removing bucket", method: http.MethodDelete, bucket: name})
	return err
}
