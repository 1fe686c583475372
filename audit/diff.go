package audit

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

const (
	// maxFields bounds the fields that a record tells, and maxValue the bytes of each value; what
	// is cut off ends with "…".
	maxFields = 32
	maxValue  = 256
)

// Of returns the body with the digests of what the resource was and is, as JSON without secrets,
// and with what changed; nil is nothing.
func (b ChangeBody) Of(before, after []byte) ChangeBody {
	if before != nil {
		b.Before = Digest(before)
	}
	if after != nil {
		b.After = Digest(after)
	}
	if before != nil && after != nil {
		b.Diff = Diff(before, after)
	}
	return b
}

// Diff tells which fields of a JSON object changed, sorted. Neither may have secrets in it.
func Diff(before, after []byte) []FieldChange {
	var changes []FieldChange
	addChanges(&changes, "", before, after)
	return changes[:min(len(changes), maxFields)]
}

func addChanges(to *[]FieldChange, path string, before, after json.RawMessage) {
	var was, is map[string]json.RawMessage
	if string(before) == string(after) {
		return
	}
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil || was == nil || is == nil {
		*to = append(*to, FieldChange{path, shortened(before), shortened(after)})
		return
	}
	fields := make(map[string]struct{}, len(was)+len(is))
	for field := range was {
		fields[field] = struct{}{}
	}
	for field := range is {
		fields[field] = struct{}{}
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		inside := field
		if path != "" {
			inside = path + "." + field
		}
		addChanges(to, inside, was[field], is[field])
	}
}

func shortened(value json.RawMessage) string {
	if len(value) <= maxValue {
		return string(value)
	}
	return strings.ToValidUTF8(string(value[:maxValue]), "") + "…"
}
