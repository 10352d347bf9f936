// Lazy: a T that most owners never need: one pointer, until somebody wants it.
#pragma once

#include <memory>

namespace foliofs {

template <class T>
class Lazy {
 public:
  // Somebody has wanted it.
  explicit operator bool() const { return value_ != nullptr; }

  // Makes it if need be.
  T& operator*() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }
  T* operator->() { return &**this; }

  // What is there, or a T that nothing has been done to.
  const T& get() const {
    static const T kUntouched;
    return value_ ? *value_ : kUntouched;
  }

  void reset() { value_.reset(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace foliofs
