package watch

import (
	"net"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// policy lets a page load nothing but itself and its own pictures.
const policy = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; script-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// guard refuses what no reader of the page asks: other methods, requests that
// name another host (a foreign name that was made to point here), and requests
// that another site's page makes.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this page is read, not written: want GET", http.StatusMethodNotAllowed)
		case !loopback(r.Host):
			http.Error(w, "the request names another host, want localhost", http.StatusForbidden)
		case foreign(r):
			http.Error(w, "the request comes from another site", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// loopback reports whether a Host header names this machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// foreign reports whether a browser says that another site's page asks.
func foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return true
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" {
		return false // a link that the reader followed
	}
	return !slices.Contains([]string{"", "same-origin", "none"}, site)
}

// locate returns the path of a file below root, by slashes, "" for what is not
// below it, also by way of a link.
func locate(root, name string) string {
	local := filepath.FromSlash(path.Clean(name))
	if !filepath.IsLocal(local) {
		return ""
	}
	whole, err := filepath.EvalSymlinks(filepath.Join(root, local))
	if err != nil {
		return ""
	}
	base, err := filepath.EvalSymlinks(root)
	if err != nil {
		return ""
	}
	if rel, err := filepath.Rel(base, whole); err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return whole
}
