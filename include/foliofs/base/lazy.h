// Lazy: a T that most owners never need. Until it is first used, it takes only one pointer.
#pragma once

#include <memory>

namespace foliofs {

template <class T>
class Lazy {
 public:
  // Whether the T has been made.
  explicit operator bool() const { return value_ != nullptr; }

  // Makes the T if there is none.
  T& operator*() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }
  T* operator->() { return &**this; }

  // The T; if none has been made, one in its initial state.
  const T& get() const {
    static const T kUntouched;
    return value_ ? *value_ : kUntouched;
  }

  void reset() { value_.reset(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace foliofs
