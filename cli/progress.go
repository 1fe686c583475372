package cli

import "time"

// progress tells how far work has come since it was first looked at, and how long the rest takes at
// the rate since then. Nobody knows more of work whose whole is not counted.
type progress struct {
	began time.Time
	most  int64 // that was left
}

// text takes up what is left now. Where more is left than before, it begins again.
func (p *progress) text(left int64, now time.Time) string {
	if p.began.IsZero() || left > p.most {
		p.began, p.most = now, left
	}
	if p.most == 0 {
		return ""
	}
	text := bar(p.most-left, p.most)
	if done, took := p.most-left, now.Sub(p.began); done > 0 && left > 0 && took > 0 {
		text += ", about " + secondsText(float64(left)*took.Seconds()/float64(done)) + " left"
	}
	return text
}

// since tells how far a watch has seen something come, of which so much is left; "" where nothing is watched.
func (s *session) since(left int64) string {
	if !s.set("watch") {
		return ""
	}
	if text := s.moved.text(left, time.Now()); text != "" {
		return "; " + text
	}
	return ""
}
