// Builds the scope of an HTTP request (ASGI HTTP 2.5) from the request's head.
#pragma once

#include <string>

#include "asgi/module.h"
#include "server/base/message.h"
#include "server/connection/exchange.h"

namespace fasterapi::asgi {

class ScopeBuilder {
 public:
  explicit ScopeBuilder(Module& module) : module_(module) {}

  // Makes the dictionary that every scope starts as a copy of. `state` null: no such key.
  // False with an error set.
  bool prepare(std::string root_path, PyObject* state);
  // A new scope. Null with an error set.
  Ref build(const base::RequestHead& head, connection::Origin& origin);
  int traverse(visitproc visit, void* arg);
  void clear();

 private:
  bool put_target(PyObject* scope, const base::RequestHead& head);
  bool put_addresses(PyObject* scope, connection::Origin& origin);
  Ref method(std::string_view method);
  Ref headers(const base::RequestHead& head);
  Ref header_name(std::string_view name);
  Ref path(std::string_view raw);

  Module& module_;
  Ref prototype_;
  Ref asgi_;
  Ref state_;
  std::string root_path_;
  std::string decoded_;
};

}  // namespace fasterapi::asgi
