package admin

import (
	"net/url"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// parseInputs reads the inputs of an invocation from query parameters as data_aware
// reads them from headers: bucket may be repeated or separated by commas, object keys
// (percent-encoded where needed, as in the header) belong to the first bucket, data is
// s3://bucket/key, s3://bucket/prefix/ or s3://bucket/. Where data_aware would refuse
// or ignore what can't be read, this says what is wrong with it.
func parseInputs(buckets, objects, data []string) ([]catalog.Input, error) {
	var inputs []catalog.Input
	for _, list := range buckets {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				inputs = append(inputs, catalog.Input{Bucket: name})
			}
		}
	}
	first := true
	for _, key := range objects {
		switch {
		case len(inputs) == 0:
			return nil, badRequest("query parameter \"object\": expected \"bucket\" with it, or \"data\" instead")
		case key == "":
		case first:
			inputs[0].Key, inputs[0].Scope, first = decodeKey(key), catalog.ScopeObject, false
		default:
			inputs = append(inputs, catalog.Input{Bucket: inputs[0].Bucket, Key: decodeKey(key), Scope: catalog.ScopeObject})
		}
	}
	for _, ref := range data {
		in, err := parseData(ref)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

func parseData(ref string) (catalog.Input, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(ref), "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return catalog.Input{}, badRequest("query parameter \"data\": %q: expected s3://bucket/key or s3://bucket/", ref)
	}
	in := catalog.Input{Bucket: bucket}
	if key != "" {
		in.Key, in.Scope = decodeKey(key), catalog.ScopeObject
		if strings.HasSuffix(key, "/") {
			in.Scope = catalog.ScopePrefix
		}
	}
	return in, nil
}

// decodeKey undoes percent-encoding; what is none is a key as it is.
func decodeKey(v string) string {
	if key, err := url.PathUnescape(v); err == nil {
		return key
	}
	return v
}
