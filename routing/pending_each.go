package routing

// Each calls f with every exception of a bucket, or with bucket "" of all, as they were
// at some moment of the call. f may change the index.
func (p *PendingIndex) Each(bucket string, f func(bucket, key, cluster string)) {
	if bucket != "" {
		p.eachOf(&p.stripes[nameHash(bucket)%pendingStripes], bucket, f)
		return
	}
	for i := range p.stripes {
		p.eachOf(&p.stripes[i], "", f)
	}
}

// exception is one key pending in one cluster.
type exception struct{ bucket, key, cluster string }

func (p *PendingIndex) eachOf(s *pendingStripe, bucket string, f func(bucket, key, cluster string)) {
	var all []exception
	s.mu.Lock()
	for name, b := range s.buckets {
		if bucket != "" && name != bucket {
			continue
		}
		for o := b.first; o != nil; o = o.next {
			for _, c := range *o.clusters.Load() {
				all = append(all, exception{b.name, o.key, c})
			}
		}
	}
	s.mu.Unlock()
	for _, x := range all {
		f(x.bucket, x.key, x.cluster)
	}
}
