package stored

import (
	"encoding/json"
	"slices"

	"github.com/fado-project/fado/audit"
)

// AuditLog collects the audit records of a transaction, which follow a head.
type AuditLog struct {
	Head    audit.Head
	Records []AuditRow
	// Allowed are the clusters recorded for policies, as stores keep them.
	Allowed map[string]string
}

// AuditRow is a record with what is stored beside it.
type AuditRow struct {
	audit.Record
	Millis  int64
	Subject string
}

// Add appends a record to the chain.
func (l *AuditLog) Add(e audit.Entry) error {
	r, err := l.Head.Next(e)
	if err != nil {
		return err
	}
	l.Head = r.Head()
	l.Records = append(l.Records, AuditRow{Record: r, Millis: e.At.UnixMilli(), Subject: e.Subject})
	if b, ok := e.Body.(audit.AllowedBody); ok {
		if l.Allowed == nil {
			l.Allowed = make(map[string]string)
		}
		l.Allowed[b.Policy] = EncodeNames(b.Clusters)
	}
	return nil
}

// EncodeNames writes a list of names as it is stored.
func EncodeNames(names []string) string {
	text, _ := json.Marshal(names) // text always encodes
	return string(text)
}

// DecodeNames reads a stored list of names.
func DecodeNames(text string) (names []string, err error) {
	err = json.Unmarshal([]byte(text), &names)
	return slices.Clip(names), err
}
