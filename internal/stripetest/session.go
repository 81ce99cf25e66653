package stripetest

import (
	"strings"
	"time"
)

var sessionFields = `mode! customer:customer customer_email client_reference_id success_url! cancel_url locale
	expires_at:int metadata.* payment_method_types.* allow_promotion_codes:bool
	line_items.*.price:price line_items.*.quantity:int
	line_items.*.price_data.currency line_items.*.price_data.unit_amount:int
	line_items.*.price_data.product:product line_items.*.price_data.product_data.name
	line_items.*.price_data.product_data.description line_items.*.price_data.product_data.metadata.*
	payment_intent_data.metadata.* payment_intent_data.description payment_intent_data.receipt_email
	payment_intent_data.setup_future_usage ` + usageOptions[card] + " " + usageOptions[sepa] + `
	subscription_data.metadata.* subscription_data.description setup_intent_data.metadata.*`

func (s *Server) sessionRoutes() {
	const path, kind = "/v1/checkout/sessions", "checkout.session"
	s.retrieve(path, kind)
	s.lists(path, kind, "customer payment_intent subscription status", nil)
	s.route("POST "+path, "", sessionFields, s.createSession)
	s.route("POST "+path+"/{id}/expire", kind, "", s.expireCall)
	s.route("GET "+path+"/{id}/line_items", kind, "limit:int", func(c *call) (object, *refusal) {
		items, _ := c.target["_items"].([]any)
		return envelope(c.url, items, false), nil
	})
}

func (s *Server) createSession(c *call) (object, *refusal) {
	mode := c.str("mode")
	if mode != "payment" && mode != "subscription" && mode != "setup" {
		return nil, invalid("", "mode", "Invalid mode: must be one of payment, setup, or subscription")
	}
	expires := s.now.Add(24 * time.Hour).Unix()
	if c.has("expires_at") {
		expires = c.int("expires_at")
		if expires < s.now.Add(30*time.Minute).Unix() || expires > s.now.Add(24*time.Hour).Unix() {
			return nil, invalid("", "expires_at", "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.")
		}
	}
	for _, field := range []string{"success_url", "cancel_url"} {
		if u := c.str(field); u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
			return nil, invalid("url_invalid", field, "Not a valid URL")
		}
	}
	for field, of := range map[string]string{
		"subscription_data": "subscription", "payment_intent_data": "payment", "setup_intent_data": "setup",
	} {
		if of != mode && c.under(field) {
			return nil, invalid("", field, "You can not pass `%s` in `%s` mode.", field, mode)
		}
	}
	if mode != "payment" && c.under("payment_method_options") {
		return nil, invalid("", "payment_method_options", "You can not pass `setup_future_usage` in `%s` mode.", mode)
	}
	options, refused := usageOptionsOf(c.form, "payment_intent_data.setup_future_usage")
	if refused != nil {
		return nil, refused
	}
	if mode == "setup" {
		return s.createSetup(c, expires)
	}
	items, refused := s.sessionItems(c, mode)
	if refused != nil {
		return nil, refused
	}
	var total int64
	for _, item := range items {
		total += item.(object).int("amount_total")
	}
	if mode == "payment" {
		if refused := checkAmount(total, "line_items"); refused != nil {
			return nil, refused
		}
	}
	types := c.list("payment_method_types")
	if len(types) == 0 {
		types = []string{"card", "sepa_debit"}
	}
	session := s.addSession(c, expires, object{
		"amount_subtotal": total, "amount_total": total, "currency": items[0].(object)["currency"],
		"payment_method_types": anys(types), "_items": items, "_data": object{
			"description": text(c.str("payment_intent_data.description") + c.str("subscription_data.description")),
			"metadata":    c.metadata("payment_intent_data.metadata"), "usage": text(c.str("payment_intent_data.setup_future_usage")),
		},
		"payment_method_options": options,
	})
	if mode == "subscription" {
		session.at("_data").(object)["metadata"] = c.metadata("subscription_data.metadata")
	}
	return session, nil
}

// addSession makes an open session, with fields of its mode.
func (s *Server) addSession(c *call, expires int64, own object) object {
	fields := object{
		"amount_subtotal": nil, "amount_total": nil, "automatic_tax": object{"enabled": false, "status": nil},
		"cancel_url": text(c.str("cancel_url")), "client_reference_id": text(c.str("client_reference_id")),
		"client_secret": nil, "consent": nil, "currency": nil, "custom_fields": []any{},
		"customer": text(c.str("customer")), "customer_details": nil, "customer_email": text(c.str("customer_email")),
		"expires_at": expires, "invoice": nil, "locale": text(c.str("locale")), "metadata": c.metadata("metadata"),
		"mode": c.str("mode"), "payment_intent": nil, "payment_link": nil, "payment_method_collection": "always",
		"payment_status": "unpaid", "setup_intent": nil, "status": "open",
		"subscription": nil, "success_url": c.str("success_url"), "ui_mode": "hosted_page",
	}
	for name, value := range own {
		fields[name] = value
	}
	session := s.add("checkout.session", fields)
	session["url"] = s.hosted("checkout", "c/pay/"+session.id())
	return session
}

// sessionItems reads the line items.
func (s *Server) sessionItems(c *call, mode string) ([]any, *refusal) {
	var items []any
	for _, i := range c.keys("line_items") {
		at := "line_items." + i
		quantity := max(c.int(at+".quantity"), 1)
		price := s.objects[c.str(at+".price")]
		description := s.objects[price.str("product")].str("name")
		switch {
		case price == nil && !c.under(at+".price_data"):
			return nil, invalid("parameter_missing", wire(at+".price"), "Missing required param: %s.", wire(at+".price"))
		case price == nil && mode == "subscription":
			return nil, invalid("", wire(at+".price_data"), "stripetest: a subscription needs the id of a price.")
		case price == nil:
			data := at + ".price_data"
			if refused := checkCurrency(c.str(data+".currency"), wire(data+".currency")); refused != nil {
				return nil, refused
			}
			if !c.has(data+".unit_amount") || c.int(data+".unit_amount") < 0 {
				return nil, invalid("parameter_invalid_integer", wire(data+".unit_amount"), "Invalid non-negative integer")
			}
			if description = c.str(data + ".product_data.name"); description == "" && !c.has(data+".product") {
				return nil, invalid("parameter_missing", wire(data+".product_data"), "You must provide one of `product` or `product_data`.")
			}
			price = object{"currency": strings.ToLower(c.str(data + ".currency")), "unit_amount": c.int(data + ".unit_amount")}
		case (price["recurring"] != nil) != (mode == "subscription"):
			return nil, invalid("", wire(at), "You specified `%s` mode but passed a price of type %s.", mode, price.str("type"))
		}
		total := price.int("unit_amount") * quantity
		items = append(items, object{
			"id": s.name("item"), "object": "item", "amount_discount": int64(0), "amount_subtotal": total, "amount_tax": int64(0),
			"amount_total": total, "currency": price.str("currency"), "description": text(description),
			"price": shownPrice(price), "quantity": quantity,
		})
	}
	if len(items) == 0 {
		return nil, invalid("parameter_missing", "line_items", "Missing required param: line_items.")
	}
	return items, nil
}

// shownPrice is null for one that was given inline.
func shownPrice(price object) any {
	if price.id() == "" {
		return nil
	}
	return copied(price)
}

// confirm makes what an open session is to pay: its intent, or its
// subscription with a first invoice. A second try finds it made.
func (s *Server) confirm(session object) {
	data := session.at("_data").(object)
	if session["customer"] == nil {
		customer, _ := s.createCustomer(&call{form: form{"email": {session.str("customer_email")}}})
		session["customer"] = customer.id()
	}
	switch {
	case session.str("mode") == "payment" && session["payment_intent"] == nil:
		intent := s.newIntent(object{
			"amount": session["amount_total"], "currency": session["currency"], "customer": session["customer"],
			"description": data["description"], "metadata": copied(data["metadata"]),
			"payment_method_types": session["payment_method_types"], "_session": session.id(),
			"setup_future_usage": data["usage"], "payment_method_options": copied(session["payment_method_options"]),
		})
		session["payment_intent"] = intent.id()
		s.emit("payment_intent.created", intent)
	case session.str("mode") == "subscription" && session["_subscription"] == nil:
		var items []any
		for _, item := range session.each("_items") {
			items = append(items, s.newItem(s.objects[item.str("price.id")], item.int("quantity")))
		}
		sub := s.newSubscription(session.str("customer"), items, copied(data["metadata"]).(map[string]string))
		session["_subscription"] = sub.id()
		session["_invoice"] = s.firstInvoice(sub, session.id()).id()
	}
}

func (s *Server) completeSession(session object, paymentStatus string) {
	session["status"] = "complete"
	session["payment_status"] = paymentStatus
	session["url"] = nil
	customer := s.objects[session.str("customer")]
	session["customer_details"] = object{
		"address": nil, "email": customer["email"], "name": customer["name"], "phone": nil, "tax_exempt": "none", "tax_ids": []any{},
	}
	if sub := s.objects[session.str("_subscription")]; sub != nil {
		session["subscription"] = sub.id()
		session["invoice"] = session["_invoice"]
		s.setStatus(sub, "active")
	}
	s.emit("checkout.session.completed", session)
}
