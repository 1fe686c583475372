package catalog

import (
	"strings"
	"testing"
	"time"
)

func goodKey() *Key {
	k := &Key{Name: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Buckets: []string{"team-a-*", "logs-[0-9]", "x?z"}}
	k.Normalize()
	return k
}

func TestKeyValidation(t *testing.T) {
	if err := ValidateResource(goodKey(), nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Key)
		field  string
	}{
		"short name":       {func(k *Key) { k.Name = "ab" }, "name"},
		"slash":            {func(k *Key) { k.Name = "AKIA/1" }, "name"},
		"dots":             {func(k *Key) { k.Name = "..." }, "name"},
		"comma":            {func(k *Key) { k.Name = "AKIA,1" }, "name"},
		"long name":        {func(k *Key) { k.Name = strings.Repeat("A", 129) }, "name"},
		"no secret":        {func(k *Key) { k.Secret = "" }, "secret"},
		"short secret":     {func(k *Key) { k.Secret = "1234567" }, "secret"},
		"long secret":      {func(k *Key) { k.Secret = strings.Repeat("x", 129) }, "secret"},
		"spaces":           {func(k *Key) { k.Secret = "pass word" }, "secret"},
		"not ASCII":        {func(k *Key) { k.Secret = "pässwörter" }, "secret"},
		"placeholder":      {func(k *Key) { k.Secret = "{env.FADO_SECRET}" }, "secret"},
		"bad pattern":      {func(k *Key) { k.Buckets = []string{"ok", "[a"} }, "buckets[1]"},
		"empty pattern":    {func(k *Key) { k.Buckets = []string{""} }, "buckets[0]"},
		"path":             {func(k *Key) { k.Buckets = []string{"a/*"} }, "buckets[0]"},
		"long pattern":     {func(k *Key) { k.Buckets = []string{strings.Repeat("a", 257)} }, "buckets[0]"},
		"twice":            {func(k *Key) { k.Buckets = []string{"a", "a"} }, "buckets[1]"},
		"too many":         {func(k *Key) { k.Buckets = make([]string, 1001) }, "buckets"},
		"before the epoch": {func(k *Key) { k.Expires = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC) }, "expires"},
	} {
		t.Run(name, func(t *testing.T) {
			k := goodKey()
			c.change(k)
			err := ValidateResource(k, nil)
			if err == nil || !strings.Contains(err.Error(), ": "+c.field+": ") {
				t.Fatalf("%v does not name %s", err, c.field)
			}
			if k.Secret != "" && strings.Contains(err.Error(), k.Secret) {
				t.Fatalf("%v shows the secret", err)
			}
		})
	}
}

func TestKeyDecoding(t *testing.T) {
	r, err := DecodeResource(KindKey, []byte(`{"name":"AKIA1","secret":"12345678","buckets":["b*"],"read_only":true,"expires":"2027-01-31T12:00:00+02:00","origin":"api"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := EncodeResource(r)
	if want := `{"name":"AKIA1","secret":"12345678","buckets":["b*"],"read_only":true,"expires":"2027-01-31T10:00:00Z"}`; err != nil || string(body) != want {
		t.Fatal(string(body), err)
	}
	r, err = DecodeResource(KindKey, []byte(`{"name":"AKIA1","secret":"12345678","expires":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := EncodeResource(r); strings.Contains(string(body), "expires") {
		t.Fatal(string(body))
	}
	for _, bad := range []string{`"soon"`, `12`, `"2027-01-31"`} {
		_, err := DecodeResource(KindKey, []byte(`{"name":"AKIA1","secret":"12345678","expires":`+bad+`}`))
		if err == nil || !strings.Contains(err.Error(), "expires") || !strings.Contains(err.Error(), "RFC 3339") {
			t.Fatal(bad, err)
		}
	}
	if _, err := DecodeResource(KindKey, []byte(`{"name":"AKIA1","secret":["12345678"]}`)); err == nil || strings.Contains(err.Error(), "12345678") {
		t.Fatal(err)
	}
	if _, err := DecodeResource(KindKey, []byte(`{"name":"AKIA1","secret":12345678}`)); err == nil || strings.Contains(err.Error(), "12345678") {
		t.Fatal(err)
	}
}

func TestKeyAllows(t *testing.T) {
	for bucket, want := range map[string]bool{"team-a-1": true, "team-b-1": false, "logs-7": true, "logs-77": false, "xyz": true} {
		if goodKey().Allows(bucket) != want {
			t.Errorf("%s: not %v", bucket, want)
		}
	}
	if !new(Key).Allows("anything") {
		t.Error("a key without patterns is for all buckets")
	}
}

func TestKeyExpires(t *testing.T) {
	at := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	k := &Key{Expires: at}
	if k.Expired(at.Add(-1)) || !k.Expired(at) || new(Key).Expired(at) {
		t.Error("a key works up to the moment it expires")
	}
}

func TestKeyClone(t *testing.T) {
	k := goodKey()
	c := k.Clone().(*Key)
	c.Buckets[0] = "other"
	if k.Buckets[0] != "team-a-*" {
		t.Error("the clone shares its patterns")
	}
}
