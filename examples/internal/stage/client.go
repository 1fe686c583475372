package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client talks to FaDO as its users do.
type Client struct {
	URL      string // of the site that invocations go to
	AdminURL string // of Caddy's admin endpoint
	HTTP     *http.Client
}

// NewClient returns a client of an instance.
func NewClient(url, adminURL string) *Client {
	return &Client{URL: url, AdminURL: adminURL, HTTP: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
}

// Reply is what an invocation gave: the function's answer, or FaDO's refusal.
type Reply struct {
	Status   int
	Reason   string // X-FaDO-Reason
	Function string `json:"function"`
	Locality string `json:"locality"`
	Storage  string `json:"storage"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
	Version  string `json:"version"`
	Error    string `json:"error"`
}

// Invoke calls the functions through FaDO, naming a bucket and maybe an object.
func (c *Client) Invoke(ctx context.Context, bucket, object string) (Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/summarise", nil)
	if err != nil {
		return Reply{}, err
	}
	if bucket != "" {
		req.Header.Set("X-FaDO-Bucket", bucket)
	}
	if object != "" {
		req.Header.Set("X-FaDO-Object", url.PathEscape(object))
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	r := Reply{Status: resp.StatusCode, Reason: resp.Header.Get("X-FaDO-Reason")}
	body, err := io.ReadAll(resp.Body)
	if err == nil && len(body) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// InvokeMany calls n times and counts the answers per function.
func (c *Client) InvokeMany(ctx context.Context, n int, bucket, object string) (map[string]int, error) {
	count := make(map[string]int)
	for range n {
		r, err := c.Invoke(ctx, bucket, object)
		if err != nil {
			return count, err
		}
		if r.Status != http.StatusOK {
			return count, fmt.Errorf("an invocation naming %s/%s got %d (%s %s)", bucket, object, r.Status, r.Reason, r.Error)
		}
		count[r.Function]++
	}
	return count, nil
}

// API calls the admin API; in and out may be nil.
func (c *Client) API(ctx context.Context, method, path string, in, out any) error {
	status, text, err := c.Try(ctx, method, path, in)
	if err != nil {
		return err
	}
	if status >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal([]byte(text), out)
}

// Try calls the admin API and returns what it answers, whatever that is.
func (c *Client) Try(ctx context.Context, method, path string, in any) (status int, text string, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, "", err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.AdminURL+path, body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(bytes.TrimSpace(b)), err
}

// Counter sums a metric over its labels; 0 if it is not there yet.
func (c *Client) Counter(ctx context.Context, name string) (sum int64, err error) {
	status, text, err := c.Try(ctx, http.MethodGet, "/metrics", nil)
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("reading metrics: %d: %w", status, err)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(strings.TrimSpace(line), ' '):]), 64)
		if err != nil {
			return 0, fmt.Errorf("reading metric %s: %w", name, err)
		}
		sum += int64(v)
	}
	return sum, nil
}

// bucketStatus is the part of a bucket that AwaitOK looks at.
type bucketStatus struct {
	Status struct {
		State   string `json:"state"`
		Reason  string `json:"reason"`
		Primary string `json:"primary"`
		Copies  []struct {
			Cluster string `json:"cluster"`
			Role    string `json:"role"`
			State   string `json:"state"`
			Objects int64  `json:"objects"`
			Pending struct {
				Objects int64 `json:"objects"`
			} `json:"pending"`
		} `json:"copies"`
	} `json:"status"`
}

// AwaitOK waits until a bucket is in state ok with its copies in exactly these
// clusters, showing how far it is.
func (c *Client) AwaitOK(ctx context.Context, say *Display, bucket string, clusters ...string) error {
	var b bucketStatus
	err := Await(ctx, func() (bool, error) {
		b = bucketStatus{}
		if err := c.API(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b); err != nil {
			return false, err
		}
		var synced int64
		held := make(map[string]bool)
		for _, copied := range b.Status.Copies {
			held[copied.Cluster] = true
			if copied.State == "synced" && copied.Pending.Objects == 0 {
				synced++
			}
		}
		say.Progress(synced, int64(len(clusters)), b.Status.State+" "+b.Status.Reason)
		for _, name := range clusters {
			if !held[name] {
				return false, nil
			}
		}
		return b.Status.State == "ok" && len(held) == len(clusters), nil
	})
	if err != nil {
		var what json.RawMessage
		if c.API(context.WithoutCancel(ctx), http.MethodGet, "/fado/buckets/"+bucket+"/conflicts", nil, &what) == nil && len(what) > 2 {
			return fmt.Errorf("bucket %s should be ok in %s, it is %+v, with the conflicts %s: %w", bucket, strings.Join(clusters, ", "), b.Status, what, err)
		}
		return fmt.Errorf("bucket %s should be ok in %s, it is %+v: %w", bucket, strings.Join(clusters, ", "), b.Status, err)
	}
	return nil
}

// patience bounds every wait.
const patience = 4 * time.Minute

// Await asks until the answer is yes.
func Await(ctx context.Context, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("it did not happen in time")
		case <-time.After(100 * time.Millisecond):
		}
	}
}
