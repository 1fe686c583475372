package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Document is a document as it is sent.
type Document struct {
	Body []byte
	// ContentType is application/json or application/yaml. Default: application/json.
	ContentType string
}

// Plan says what a document would do.
type Plan struct {
	Revision int64    `json:"revision"`
	Changes  []Change `json:"changes"`
	// ChangesTotal counts the changes of all pages; ChangesNext is where the next page of them
	// begins, "" at the end.
	ChangesTotal int         `json:"changes_total"`
	ChangesNext  string      `json:"changes_next"`
	Moves        Moves       `json:"moves"`
	Violations   []Violation `json:"violations"`
	Routes       Routes      `json:"routes"`
	// Blocked says that a violation keeps the document from being applied.
	Blocked bool `json:"blocked"`
	// ETag is what Apply takes so that nothing but this plan is carried out.
	ETag string `json:"-"`
}

// Change is the change of one resource.
type Change struct {
	Kind   string  `json:"kind"`
	Name   string  `json:"name"`
	Action string  `json:"action"`
	Fields []Field `json:"fields"`
}

// Field is a field that differs, with its values in JSON.
type Field struct {
	Path string          `json:"path"`
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// Moves is what has to be copied and removed.
type Moves struct {
	Total struct {
		Buckets   int64 `json:"buckets"`
		Copies    int64 `json:"copies"`
		Objects   int64 `json:"objects"`
		Bytes     int64 `json:"bytes"`
		Estimated bool  `json:"estimated"`
		Seconds   struct {
			Low  float64 `json:"low"`
			High float64 `json:"high"`
		} `json:"seconds"`
		Egress          float64 `json:"egress"`
		StoragePerMonth float64 `json:"storage_per_month"`
	} `json:"total"`
	Removed struct {
		Copies  int64 `json:"copies"`
		Objects int64 `json:"objects"`
		Bytes   int64 `json:"bytes"`
	} `json:"removed"`
	Links   []Link       `json:"links"`
	Buckets []BucketMove `json:"buckets"`
	Next    string       `json:"next"`
}

// Link is what is copied from one cluster to another.
type Link struct {
	From       string  `json:"from"`
	To         string  `json:"to"`
	Bytes      int64   `json:"bytes"`
	Rate       float64 `json:"rate"`
	RateSource string  `json:"rate_source"`
	Seconds    float64 `json:"seconds"`
	Egress     float64 `json:"egress"`
}

// BucketMove is what one rule of a bucket moves.
type BucketMove struct {
	Bucket  string   `json:"bucket"`
	Prefix  string   `json:"prefix"`
	Add     []string `json:"add"`
	Remove  []string `json:"remove"`
	Primary *struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"primary"`
	Objects int64   `json:"objects"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	Egress  float64 `json:"egress"`
}

// Violation is something that a document would break or leave short.
type Violation struct {
	Kind     string `json:"kind"`
	Resource string `json:"resource"`
	Detail   string `json:"detail"`
	Blocking bool   `json:"blocking"`
}

// Routes is what a document means to invocations.
type Routes struct {
	Changed int64 `json:"changed"`
	Local   struct {
		Before int64 `json:"before"`
		After  int64 `json:"after"`
	} `json:"local"`
	Refused struct {
		Before int64 `json:"before"`
		After  int64 `json:"after"`
	} `json:"refused"`
	Examples []struct {
		Bucket string   `json:"bucket"`
		Prefix string   `json:"prefix"`
		Before []string `json:"before"`
		After  []string `json:"after"`
	} `json:"examples"`
}

// Applied is what a document did.
type Applied struct {
	Revision int64 `json:"revision"`
	Changes  int   `json:"changes"`
	Moves    Moves `json:"moves"`
}

// PlanPage says which part of a plan is listed.
type PlanPage struct {
	// Limit bounds the changes and the moves listed; 0: as many as the API lists by itself.
	Limit int
	// MovesAfter and ChangesAfter are Moves.Next and ChangesNext of the page before.
	MovesAfter, ChangesAfter string
}

// Plan asks what a document would do. Totals are of all that it would do, whatever is listed.
func (c *Client) Plan(ctx context.Context, d Document, page PlanPage) (*Plan, error) {
	query := url.Values{}
	for name, v := range map[string]string{"after": page.MovesAfter, "changes_after": page.ChangesAfter} {
		if v != "" {
			query.Set(name, v)
		}
	}
	if page.Limit > 0 {
		query.Set("limit", strconv.Itoa(page.Limit))
	}
	p := new(Plan)
	header, err := c.Do(ctx, Request{Method: http.MethodPost, Path: Path("plan"), Query: query, Body: d.Body, ContentType: d.ContentType}, p)
	if err != nil {
		return nil, err
	}
	p.ETag = header.Get("ETag")
	return p, nil
}

// WholePlan is Plan with all changes and moves, page by page. The error says so if the
// catalogue changes meanwhile.
func (c *Client) WholePlan(ctx context.Context, d Document) (*Plan, error) {
	whole, err := c.Plan(ctx, d, PlanPage{})
	if err != nil {
		return nil, err
	}
	for whole.Moves.Next != "" || whole.ChangesNext != "" {
		p, err := c.Plan(ctx, d, PlanPage{MovesAfter: whole.Moves.Next, ChangesAfter: whole.ChangesNext})
		if err != nil {
			return nil, err
		}
		if p.ETag != whole.ETag {
			return nil, fmt.Errorf("the catalogue has changed between two pages of the plan: its revision was %d and is %d", whole.Revision, p.Revision)
		}
		if whole.Moves.Next != "" { // else the page begins again
			whole.Moves.Buckets = append(whole.Moves.Buckets, p.Moves.Buckets...)
			whole.Moves.Next = p.Moves.Next
		}
		if whole.ChangesNext != "" {
			whole.Changes = append(whole.Changes, p.Changes...)
			whole.ChangesNext = p.ChangesNext
		}
	}
	return whole, nil
}

// Apply makes the changes that a document asks for, all of them or none. With the ETag of a
// plan they are made only if the catalogue is still the one that the plan was made for.
func (c *Client) Apply(ctx context.Context, d Document, etag string) (*Applied, error) {
	a := new(Applied)
	_, err := c.Do(ctx, Request{Method: http.MethodPost, Path: Path("apply"), Body: d.Body, ContentType: d.ContentType, IfMatch: etag}, a)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Export writes the catalogue as a document, format json or yaml. With all, what the
// configuration declares is in it, too.
func (c *Client) Export(ctx context.Context, w io.Writer, format string, all bool) error {
	query := url.Values{"format": {format}}
	if all {
		query.Set("origin", "all")
	}
	body, err := c.Stream(ctx, Request{Method: http.MethodGet, Path: Path("export"), Query: query})
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}
