#include "server/http1/codec.h"

#include <cassert>
#include <utility>

#include "server/http1/request_parser.h"
#include "server/http1/response_encoder.h"

namespace fasterapi::http1 {

struct Codec::Halves {
  explicit Halves(const base::Settings& settings) : request(settings), response(settings) {}

  RequestParser request;
  ResponseEncoder response;
};

Codec::Codec(const base::Settings& settings) : halves_(std::make_unique<Halves>(settings)) {}
Codec::~Codec() = default;

std::span<const Event> Codec::receive(std::string_view bytes) {
  RequestParser& request = halves_->request;
  std::span<const Event> events = request.receive(bytes);
  // One call never reaches past one request, so that a Head is its first event.
  if (!events.empty() && events.front().kind == EventKind::kHead) {
    halves_->response.begin(request.head(), request.keep_alive() ? Reuse::kKeepAlive : Reuse::kClose);
  }
  if (request.dead()) halves_->response.close_after_response();
  return events;
}

bool Codec::finish() { return halves_->request.between_requests(); }

void Codec::resume() {
  assert(halves_->request.complete() && halves_->response.complete());
  halves_->request.resume();
  halves_->response.end();
}

bool Codec::has_rest() const { return rest_size() != 0; }
std::size_t Codec::rest_size() const { return halves_->request.rest_size(); }
std::string Codec::take_rest() { return halves_->request.take_rest(); }

const base::RequestHead& Codec::head() const { return halves_->request.head(); }
bool Codec::in_head() const { return halves_->request.in_head(); }
bool Codec::request_complete() const { return halves_->request.complete(); }
const base::Failure& Codec::failure() const { return halves_->request.failure(); }

void Codec::send_continue() {
  // RFC 9110 10.1.1: may be left out once some of the body has come.
  if (halves_->request.body_began() || halves_->request.complete()) return;
  halves_->response.send_continue();
}

base::Result<void> Codec::send_head(const base::ResponseHead& head, const DefaultHeaders& defaults) {
  // RFC 9110 10.1.1: answered without "100 Continue" the client may send the body or leave it out, and
  // what comes next could be either that or a request.
  bool body_undecided =
      halves_->response.continue_due() && !halves_->request.body_began() && !halves_->request.complete();
  if (body_undecided) halves_->response.close_after_response();
  return halves_->response.send_head(head, defaults);
}

base::Result<void> Codec::switch_protocols(std::string_view protocol, std::span<const base::Header> headers,
                                           const DefaultHeaders& defaults) {
  return halves_->response.switch_protocols(protocol, headers, defaults);
}

base::Result<void> Codec::send_body(base::Slice bytes, base::Last last) {
  return halves_->response.send_body(std::move(bytes), last);
}

base::Result<void> Codec::send_body(std::string_view bytes, base::Last last) {
  return halves_->response.send_body(bytes, last);
}

base::Result<void> Codec::send_trailers(std::span<const base::Header> fields, base::Last last) {
  return halves_->response.send_trailers(fields, last);
}

bool Codec::head_sent() const { return halves_->response.head_sent(); }
bool Codec::response_complete() const { return halves_->response.complete(); }
bool Codec::response_has_no_body() const { return halves_->response.has_no_body(); }
bool Codec::response_open_ended() const { return halves_->response.open_ended(); }
void Codec::close_after_response() { halves_->response.close_after_response(); }
base::Output& Codec::output() { return halves_->response.output(); }
const base::Output& Codec::output() const { return halves_->response.output(); }

bool Codec::wants_close() const { return halves_->response.wants_close(); }

}  // namespace fasterapi::http1
