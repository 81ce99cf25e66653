package site

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/request"
)

// unanswered are the answers in place of an app that gave none, by the status
// of Caddy's error. An app that took too long is not to be asked again at once.
var unanswered = map[int]answer.Error{
	http.StatusBadGateway: {
		Status: http.StatusBadGateway, Code: "BAD_GATEWAY",
		Message: "Bad gateway: the app cannot be reached", RetryAfter: 5 * time.Second,
	},
	http.StatusServiceUnavailable: {
		Status: http.StatusServiceUnavailable, Code: "UNAVAILABLE",
		Message: "Service unavailable: the app cannot be reached", RetryAfter: 5 * time.Second,
	},
	http.StatusGatewayTimeout: {
		Status: http.StatusGatewayTimeout, Code: "GATEWAY_TIMEOUT",
		Message: "Gateway timeout: the app took too long to answer",
	},
}

// answerFor answers in place of an app that gave no answer. The error goes on
// where it is another one, where the answer has begun, and where the admin has
// routes for it.
func (s *Scope) answerFor(a *Writer, w http.ResponseWriter, r *http.Request, err error) error {
	var failure caddyhttp.HandlerError
	if !errors.As(err, &failure) || a.wrote {
		return err
	}
	refusal, ok := unanswered[failure.StatusCode]
	if !ok || r.Context().Err() != nil || s.adminHandles(r, err) {
		return err
	}
	s.Log.Error("an app gave no answer", zap.Error(failure.Err), zap.Int("status", failure.StatusCode), zap.String("id", failure.ID),
		zap.String("method", r.Method), zap.String("host", r.Host), zap.String("path", request.Original(r).URL.EscapedPath()))
	answer.AllowReading(w.Header(), r, s.Origins)
	return s.Hosted().Refuse(w, r, refusal)
}

// adminHandles reports whether the config has routes for the error. Those of
// errors in errors are never asked.
func (s *Scope) adminHandles(r *http.Request, err error) bool {
	if s.site.Has(r.Host, func(site app.SiteFacts) bool { return site.Errors }) {
		return true
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.Errors == nil || r.Context().Value(caddyhttp.ErrorCtxKey) != nil {
		return false
	}
	// Caddy matches them against the request as it came.
	asked := *server.Errors.WithError(r, err)
	original := request.Original(r)
	asked.Method, asked.URL, asked.RequestURI = original.Method, original.URL, original.RequestURI
	return anyHandles(server.Errors.Routes, &asked)
}

// anyHandles reports whether one of the routes is for the request and holds
// more than routes that are not.
func anyHandles(routes caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range routes {
		if ok, err := route.MatcherSets.AnyMatchWithError(r); err == nil && !ok {
			continue
		}
		for _, handler := range route.Handlers {
			sub, ok := handler.(*caddyhttp.Subroute)
			if !ok || anyHandles(sub.Routes, r) {
				return true
			}
		}
	}
	return false
}
