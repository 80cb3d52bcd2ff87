// SPDX-License-Identifier: Apache-2.0
#include "pki/secrets.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <memory>

#include "pki/jwt.h"

namespace knarr::pki {
namespace {

constexpr size_t kNonce = 12, kTag = 16;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const EVP_CIPHER* cipher_of(std::string_view key) {
  switch (key.size()) {
    case 16: return EVP_aes_128_gcm();
    case 24: return EVP_aes_192_gcm();
    case 32: return EVP_aes_256_gcm();
  }
  return nullptr;
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

Result<std::string> random_bytes(size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(bytes_of(bytes), static_cast<int>(count)) != 1) return Status::error("no random bytes");
  return bytes;
}

Result<std::string> random_token(size_t count) {
  static constexpr std::string_view kAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
  // Bytes beyond a multiple of 36 are thrown away, or the first letters would come more often.
  constexpr unsigned kFair = 256 / 36 * 36;
  std::string token;
  while (token.size() < count) {
    TRY_ASSIGN(std::string bytes, random_bytes(count));
    for (unsigned char byte : bytes)
      if (byte < kFair && token.size() < count) token += kAlphabet[byte % 36];
  }
  return token;
}

std::string to_hex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

Result<std::string> from_hex(std::string_view text) {
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  if (text.size() % 2 != 0) return Status::error("encoding/hex: odd length hex string");
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return Status::error("encoding/hex: invalid byte");
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::string sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes_of(bytes), bytes.size(), bytes_of(digest));
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  unsigned int size = SHA256_DIGEST_LENGTH;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(), bytes_of(digest), &size);
  return digest;
}

Result<std::string> seal(std::string_view key, std::string_view bytes) {
  const EVP_CIPHER* cipher = cipher_of(key);
  if (cipher == nullptr) return Status::error("crypto/aes: invalid key size " + std::to_string(key.size()));
  TRY_ASSIGN(std::string sealed, random_bytes(kNonce));
  sealed.resize(kNonce + bytes.size() + kTag);
  Cipher context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int size = 0, rest = 0;
  unsigned char* out = bytes_of(sealed);
  if (EVP_EncryptInit_ex(context.get(), cipher, nullptr, bytes_of(key), out) != 1 ||
      EVP_EncryptUpdate(context.get(), out + kNonce, &size, bytes_of(bytes), static_cast<int>(bytes.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), out + kNonce + size, &rest) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTag, out + kNonce + bytes.size()) != 1)
    return Status::error("sealing failed");
  return sealed;
}

Result<std::string> open_sealed(std::string_view key, std::string_view sealed) {
  const EVP_CIPHER* cipher = cipher_of(key);
  if (cipher == nullptr) return Status::error("crypto/aes: invalid key size " + std::to_string(key.size()));
  if (sealed.size() < kNonce + kTag) return Status::error("malformed ciphertext");
  std::string_view text = sealed.substr(kNonce, sealed.size() - kNonce - kTag);
  std::string tag(sealed.substr(sealed.size() - kTag)), plain(text.size(), '\0');
  Cipher context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int size = 0, rest = 0;
  if (EVP_DecryptInit_ex(context.get(), cipher, nullptr, bytes_of(key), bytes_of(sealed)) != 1 ||
      EVP_DecryptUpdate(context.get(), bytes_of(plain), &size, bytes_of(text), static_cast<int>(text.size())) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) != 1 ||
      EVP_DecryptFinal_ex(context.get(), bytes_of(plain) + size, &rest) != 1)
    return Status::error("cipher: message authentication failed");
  return plain;
}

std::string detached_signature(std::string_view text, std::string_view token_id, std::string_view token_secret) {
  std::string head = base64url(R"({"alg":"HS256","kid":")" + std::string(token_id) + "\"}");
  std::string signature = base64url(hmac_sha256(token_secret, head + "." + base64url(text)));
  return head + ".." + signature;
}

}  // namespace knarr::pki
