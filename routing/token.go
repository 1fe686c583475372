package routing

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Token names a write, in at most 200 bytes: of which object, in which cluster it was made, as
// which version. Clients get it as text that means nothing to them, and hand it on.
type Token struct {
	Object  ObjectID
	Cluster string
	Version string // at most 64 bytes of it
}

// ObjectID stands for an object in tokens.
type ObjectID [12]byte

// IDOf returns the ID of an object.
func IDOf(bucket, key string) (id ObjectID) {
	sum := sha256.Sum256([]byte(bucket + "/" + key))
	copy(id[:], sum[:])
	return id
}

const (
	tokenForm  = "1"
	maxVersion = 64
	maxToken   = 200
)

// String writes a token.
func (t Token) String() string {
	version := t.Version
	if len(version) > maxVersion {
		version = version[:maxVersion]
	}
	enc := base64.RawURLEncoding
	return tokenForm + "." + enc.EncodeToString(t.Object[:]) + "." + t.Cluster + "." + enc.EncodeToString([]byte(version))
}

// ParseToken reads a token, and reports whether it is one.
func ParseToken(s string) (t Token, ok bool) {
	parts := strings.Split(s, ".")
	if len(s) > maxToken || len(parts) != 4 || parts[0] != tokenForm || parts[2] == "" {
		return Token{}, false
	}
	id, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(id) != len(t.Object) {
		return Token{}, false
	}
	version, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil {
		return Token{}, false
	}
	copy(t.Object[:], id)
	t.Cluster, t.Version = parts[2], string(version)
	return t, true
}

// MarkTokens marks those inputs that the tokens of a comma-separated list name as Held. False if
// there are more than most, or one can't be read, or names no object among the inputs.
func MarkTokens(inputs []Input, list string, most int) bool {
	var objects map[ObjectID][]int // each input is hashed once, however many tokens there are
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		t, ok := ParseToken(part)
		if most--; !ok || most < 0 {
			return false
		}
		if objects == nil {
			objects = objectsAmong(inputs)
		}
		named := objects[t.Object]
		if len(named) == 0 {
			return false
		}
		for _, i := range named {
			inputs[i].Held = true
		}
	}
	return true
}

// objectsAmong returns where among inputs each object is named.
func objectsAmong(inputs []Input) map[ObjectID][]int {
	at := make(map[ObjectID][]int)
	for i := range inputs {
		if in := &inputs[i]; in.Scope == ScopeObject {
			id := IDOf(in.Bucket, in.Key)
			at[id] = append(at[id], i)
		}
	}
	return at
}
