package routing

import "github.com/fado-project/fado/catalog"

// Writer reports whether users' writes of a key may go to a cluster: it is the bucket's
// primary, or holds a synced copy of the key under a policy that says writes anywhere.
func (b BucketView) Writer(key, cluster string) bool {
	if cluster == "" || b.Primary() == cluster {
		return cluster != ""
	}
	state, _, ok := b.CopyState(key, cluster)
	return ok && state == catalog.CopySynced && b.WritesAnywhere(key)
}

// WritesAnywhere says whether a key's policy lets users write it at every copy.
func (b BucketView) WritesAnywhere(key string) bool {
	en := b.entry
	return en != nil && b.snap.tables.writesAnywhere(en.policyOf(en.ruleOf(key)))
}

// Anywhere says whether users may have written a key at every copy: its policy says so, or
// it said so and what they wrote has not been brought together yet.
func (b BucketView) Anywhere(key string) bool {
	en := b.entry
	if en == nil {
		return false
	}
	rule := en.ruleOf(key)
	if b.snap.tables.writesAnywhere(en.policyOf(rule)) {
		return true
	}
	for i := range en.copies() {
		if c := en.copyAt(i); c.rule() == rule && c.anywhere() {
			return true
		}
	}
	return false
}

// RulesAnywhere returns the prefixes of a bucket's rules whose policies say writes
// anywhere, sorted; none for most buckets.
func (b BucketView) RulesAnywhere() []string {
	en := b.entry
	if en == nil {
		return nil
	}
	var prefixes []string
	for i := range 1 + len(en.rules()) {
		if b.snap.tables.writesAnywhere(en.policyOf(i)) {
			prefixes = append(prefixes, en.prefixOf(i))
		}
	}
	return prefixes
}

// KeepsHistory says whether a key's policy wants the whole history of it at every copy.
func (b BucketView) KeepsHistory(key string) bool {
	en := b.entry
	if en == nil {
		return false
	}
	book := b.snap.tables.book(en.policyOf(en.ruleOf(key)))
	return book != nil && book.history
}
