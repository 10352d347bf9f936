// Names as the store takes them: checked, and ending in NUL as system calls need them.
#pragma once

#include <string_view>

#include "foliofs/base/limits.h"
#include "foliofs/base/result.h"
#include "foliofs/proto/messages.h"

namespace foliofs::server {

// A name that proto::check_name has passed; ends in NUL. Does not own its bytes.
class Name {
 public:
  // EINVAL without a name, and the errors of proto::check_name.
  static Result<Name> check(const flatbuffers::String* name) {
    if (name == nullptr) return Errno(EINVAL);
    BOOST_OUTCOME_TRYV(proto::check_name({name->data(), name->size()}));
    return Name(name->c_str());
  }
  const char* c_str() const { return text_; }

 private:
  explicit Name(const char* text) : text_(text) {}
  const char* text_;
};

// The name of an extended attribute (xattr(7)); ends in NUL. Does not own its bytes.
class XattrName {
 public:
  // ERANGE when it is absent, empty or too long; EINVAL with a NUL inside.
  static Result<XattrName> check(const flatbuffers::String* name) {
    if (name == nullptr || name->size() == 0 || name->size() > kMaxXattrNameBytes) {
      return Errno(ERANGE);
    }
    if (name->string_view().find('\0') != std::string_view::npos) return Errno(EINVAL);
    return XattrName(name->c_str());
  }
  const char* c_str() const { return text_; }

 private:
  explicit XattrName(const char* text) : text_(text) {}
  const char* text_;
};

}  // namespace foliofs::server
