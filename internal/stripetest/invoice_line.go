package stripetest

import (
	"fmt"
	"strings"
)

// linesShown is how many lines an invoice carries itself.
const linesShown = 10

// newLine is the line of a subscription's item.
func (s *Server) newLine(sub, item object, cents, start, end int64, proration bool, description string) object {
	price := item.at("price").(object)
	product := s.objects[price.str("product")].str("name")
	if description == "" {
		description = fmt.Sprintf("%d × %s", item.int("quantity"), product)
	} else {
		description += fmt.Sprintf(" on %s after %s", product, unix(start).Format("2 Jan 2006"))
	}
	details := object{
		"invoice_item": nil, "proration": proration, "proration_details": object{"credited_items": nil},
		"subscription": sub.id(), "subscription_item": item.id(),
	}
	if proration {
		details["invoice_item"] = s.name("invoiceitem")
	}
	return s.line(object{
		"amount": cents, "currency": price["currency"], "description": description, "quantity": item["quantity"],
		"parent":   object{"type": "subscription_item_details", "subscription_item_details": details, "invoice_item_details": nil},
		"period":   object{"start": start, "end": end},
		"metadata": copied(sub["metadata"]), "subscription": sub.id(),
		"pricing": object{
			"type": "price_details", "price_details": object{"price": price.id(), "product": price["product"]},
			"unit_amount_decimal": price["unit_amount_decimal"],
		},
	})
}

func (s *Server) line(own object) object {
	line := object{
		"id": s.name("line_item"), "object": "line_item", "discount_amounts": []any{}, "discountable": false,
		"discounts": []any{}, "livemode": false, "pretax_credit_amounts": []any{}, "subtotal": own["amount"], "taxes": []any{},
		"quantity_decimal": fmt.Sprint(own["quantity"]),
	}
	for name, value := range own {
		line[name] = value
	}
	return line
}

// addLines puts lines on a draft and adds it up again.
func (s *Server) addLines(invoice object, lines ...object) {
	all := invoice["_lines"].([]any)
	for _, line := range lines {
		line["invoice"] = invoice.id()
		all = append(all, line)
	}
	var total int64
	for _, line := range all {
		total += line.(object).int("amount")
	}
	invoice["_lines"] = all
	for _, field := range strings.Fields("subtotal subtotal_excluding_tax total total_excluding_tax") {
		invoice[field] = total
	}
	invoice["amount_due"], invoice["amount_remaining"] = max(total, 0), max(total, 0)
}

// shownLines are the first lines of an invoice, which is all that it shows
// itself.
func shownLines(invoice object) object {
	lines, _ := invoice["_lines"].([]any)
	return envelope("/v1/invoices/"+invoice.id()+"/lines", copied(lines[:min(len(lines), linesShown)]).([]any), len(lines) > linesShown)
}

// AddInvoiceItem puts an amount of its own, without a price, on a draft.
func (s *Server) AddInvoiceItem(invoice string, cents int64, description string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		o := s.draft(invoice)
		s.change("invoice.updated", o, func() {
			s.addLines(o, s.line(object{
				"amount": cents, "currency": o["currency"], "description": description, "quantity": int64(1),
				"parent": object{"type": "invoice_item_details", "subscription_item_details": nil, "invoice_item_details": object{
					"invoice_item": s.name("invoiceitem"), "proration": false, "proration_details": object{"credited_items": nil}, "subscription": nil,
				}},
				"period":   object{"start": s.now.Unix(), "end": s.now.Unix()},
				"metadata": map[string]string{}, "subscription": nil, "pricing": nil,
			}))
		})
	})
}

func (s *Server) draft(invoice string) object {
	s.t.Helper()
	o := s.find(invoice, "invoice")
	if o.str("status") != "draft" {
		s.t.Fatalf("stripetest: invoice %s is %s, not a draft", invoice, o.str("status"))
	}
	return o
}
