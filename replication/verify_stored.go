package replication

import (
	"encoding/json"
	"time"
)

// How the store keeps a verification. The tags name what is stored by every version so
// far; what people and the API are shown is [Verification].

type verificationRecord struct {
	Show    shownRecord       `json:"show"`
	Done    []string          `json:"done,omitempty"`
	Step    string            `json:"step,omitempty"`
	Cursor  string            `json:"cursor,omitempty"`
	At      comparedRecord    `json:"at,omitzero"`
	Repairs []objectKeyRecord `json:"repairs,omitempty"`
}

type shownRecord struct {
	Bucket       string           `json:"bucket"`
	State        string           `json:"state"`
	Deep         bool             `json:"deep"`
	Error        string           `json:"error"`
	Started      *time.Time       `json:"started"`
	Finished     *time.Time       `json:"finished"`
	Objects      int64            `json:"objects"`
	Bytes        int64            `json:"bytes"`
	Total        int64            `json:"total"`
	TotalBytes   int64            `json:"total_bytes"`
	Estimate     *time.Time       `json:"estimate"`
	Mismatches   int64            `json:"mismatches"`
	Repaired     int64            `json:"repaired"`
	Unrepairable int64            `json:"unrepairable"`
	Keys         []mismatchRecord `json:"keys"`
}

type mismatchRecord struct {
	Key     string `json:"key"`
	Cluster string `json:"cluster"`
	Reason  string `json:"reason"`
	State   string `json:"state"`
}

type comparedRecord struct {
	Objects int64 `json:"objects,omitempty"`
	Bytes   int64 `json:"bytes,omitempty"`
}

type objectKeyRecord struct {
	Key     string `json:"k"`
	Cluster string `json:"c"`
}

func encodeVerification(st storedVerification) (string, error) {
	s := st.Show
	rec := verificationRecord{
		Show: shownRecord{
			Bucket: s.Bucket, State: s.State, Deep: s.Deep, Error: s.Error, Started: s.Started, Finished: s.Finished,
			Objects: s.Objects, Bytes: s.Bytes, Total: s.Total, TotalBytes: s.TotalBytes, Estimate: s.Estimate,
			Mismatches: s.Mismatches, Repaired: s.Repaired, Unrepairable: s.Unrepairable, Keys: []mismatchRecord{},
		},
		Done: st.Done, Step: st.Step, Cursor: st.Cursor, At: comparedRecord(st.At),
	}
	for _, m := range s.Keys {
		rec.Show.Keys = append(rec.Show.Keys, mismatchRecord(m))
	}
	for _, k := range st.Repairs {
		rec.Repairs = append(rec.Repairs, objectKeyRecord(k))
	}
	text, err := json.Marshal(rec)
	return string(text), err
}

func decodeVerification(text string, st *storedVerification) error {
	var rec verificationRecord
	if err := json.Unmarshal([]byte(text), &rec); err != nil {
		return err
	}
	s := rec.Show
	*st = storedVerification{
		Show: Verification{
			Bucket: s.Bucket, State: s.State, Deep: s.Deep, Error: s.Error, Started: s.Started, Finished: s.Finished,
			Objects: s.Objects, Bytes: s.Bytes, Total: s.Total, TotalBytes: s.TotalBytes, Estimate: s.Estimate,
			Mismatches: s.Mismatches, Repaired: s.Repaired, Unrepairable: s.Unrepairable, Keys: []Mismatch{},
		},
		Done: rec.Done, Step: rec.Step, Cursor: rec.Cursor, At: compared(rec.At),
	}
	for _, m := range s.Keys {
		st.Show.Keys = append(st.Show.Keys, Mismatch(m))
	}
	for _, k := range rec.Repairs {
		st.Repairs = append(st.Repairs, objectKey(k))
	}
	return nil
}
