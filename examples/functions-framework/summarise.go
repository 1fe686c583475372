// Package summarise is a function for Google's Functions Framework, the runtime of Cloud Run
// functions, behind FaDO: it reads every input that an invocation names by the URLs in
// X-FaDO-Inputs, and so needs no key of any storage.
package summarise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
	"github.com/dunglas/httpsfv"
)

func init() { functions.HTTP("Summarise", Summarise) }

// Summary is what the function says of one input.
type Summary struct {
	Input  string `json:"input"`  // s3://bucket/key
	Local  bool   `json:"local"`  // whether it was read in the function's own cluster
	Bytes  int64  `json:"bytes"`  // how much was read
	SHA256 string `json:"sha256"` // of what was read
}

// Summarise reads the inputs and answers a Summary for each.
func Summarise(w http.ResponseWriter, r *http.Request) {
	inputs, err := httpsfv.UnmarshalList(r.Header.Values("X-FaDO-Inputs"))
	if err != nil || len(inputs) == 0 {
		http.Error(w, fmt.Sprintf("X-FaDO-Inputs: expected a list of inputs: %v", err), http.StatusBadRequest)
		return
	}
	all := make([]Summary, 0, len(inputs))
	for _, member := range inputs {
		s, err := read(r.Context(), member)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		all = append(all, s)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all)
}

// read reads one input by its URL.
func read(ctx context.Context, member httpsfv.Member) (Summary, error) {
	item, ok := member.(httpsfv.Item)
	if !ok {
		return Summary{}, fmt.Errorf("X-FaDO-Inputs: %v: expected an item", member)
	}
	var s Summary
	s.Input, _ = item.Value.(string)
	if local, ok := item.Params.Get("local"); ok {
		s.Local, _ = local.(bool)
	}
	url, ok := item.Params.Get("url")
	if !ok {
		return s, fmt.Errorf("%s has no URL: expected an object, and presign in the site's data_aware", s.Input)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprint(url), nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, fmt.Errorf("reading %s: %w", s.Input, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("reading %s: %s", s.Input, resp.Status)
	}
	sum := sha256.New()
	if s.Bytes, err = io.Copy(sum, resp.Body); err != nil {
		return s, fmt.Errorf("reading %s: %w", s.Input, err)
	}
	s.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}
