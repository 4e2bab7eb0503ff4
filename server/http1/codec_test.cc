#include "server/http1/codec.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "server/http1/expect_transcript.h"

namespace fasterapi::http1 {
namespace {

using namespace std::string_view_literals;

struct Case {
  const char* name;     // of the test
  const char* section;  // of the RFC that asks for it
  std::string_view input;
  std::string_view expected;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << "RFC " << c.section; }
std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

class Http1Codec : public testing::TestWithParam<Case> {};
TEST_P(Http1Codec, Reads) { expect_transcript(GetParam().input, GetParam().expected); }

// --- What is accepted ----------------------------------------------------------------------

const Case kLines[] = {
    {"OriginForm", "9112 3.2.1", "GET /a/b?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET /a/b?x=1 1.1\n  host: a\nend\n"},
    {"AbsoluteFormReplacesHost", "9112 3.2.2",
     "GET http://b.example:81/p HTTP/1.1\r\nX: 1\r\nHost: a\r\nY: 2\r\n\r\n",
     "head GET http://b.example:81/p 1.1\n  x: 1\n  host: b.example:81\n  y: 2\nend\n"},
    {"AbsoluteFormWithoutPath", "9112 3.2.2", "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET http://b 1.1\n  host: b\nend\n"},
    {"AbsoluteFormBringsAHostToHttp10", "9112 3.2.2", "GET http://b/ HTTP/1.0\r\nX: 1\r\n\r\n",
     "head GET http://b/ 1.0\n  x: 1\n  host: b\nend\nclose\n"},
    {"AbsoluteFormIsForItsRequestOnly", "9112 3.2.2",
     "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: c\r\n\r\n",
     "head GET http://b/ 1.1\n  host: b\nend\nhead GET / 1.1\n  host: c\nend\n"},
    {"AsteriskForm", "9112 3.2.4", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
     "head OPTIONS * 1.1\n  host: a\nend\n"},
    {"UnknownMethod", "9110 9.1", "FROBNICATE / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head FROBNICATE / 1.1\n  host: a\nend\n"},
    {"LowerCaseMethod", "9110 9.1", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "head get / 1.1\n  host: a\nend\n"},
    {"MethodOfAllTchars", "9110 5.6.2", "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head !#$%&'*+-.^_`|~09azAZ / 1.1\n  host: a\nend\n"},
    {"MethodThatBeginsLikeAKnownOne", "9110 9.1", "GETS / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GETS / 1.1\n  host: a\nend\n"},
    {"RtspMethodIsAMethod", "9110 9.1", "PLAY / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head PLAY / 1.1\n  host: a\nend\n"},
    {"Trace", "9110 9.3.8", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "head TRACE / 1.1\n  host: a\nend\n"},
    {"UnknownMethodWithBody", "9110 9.1", "FROB / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
     "head FROB / 1.1\n  host: a\n  content-length: 2\nlength 2\nbody hi\nend\n"},
    {"RawUtf8Target", "9112 3.2", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET /\xc3\xa9 1.1\n  host: a\nend\n"},
    {"MalformedEscapeInTarget", "9112 3.2", "GET /%zz%4 HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET /%zz%4 1.1\n  host: a\nend\n"},
    {"EmptyLinesBefore", "9112 2.2", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET / 1.1\n  host: a\nend\n"},
    {"EmptyLineBetween", "9112 2.2",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head POST / 1.1\n  host: a\n  content-length: 1\nlength 1\nbody x\nend\n"
     "head GET / 1.1\n  host: a\nend\n"},
    {"EmptyLinesBeforeEach", "9112 2.2",
     "\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
     "\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET /1 1.1\n  host: a\nend\nhead GET /2 1.1\n  host: a\nend\nhead GET /3 1.1\n  host: a\nend\n"},
    {"EmptyLinesAlone", "9112 2.2", "\r\n\r\n", ""},
    {"HalfAHead", "9112 8", "GET / HTTP/1.1\r\nHost: a\r\n", ""},
    {"HalfALine", "9112 8", "GET / HT", ""},
};
INSTANTIATE_TEST_SUITE_P(Line, Http1Codec, testing::ValuesIn(kLines), name_of);

const Case kFields[] = {
    {"NamesInLowerCase", "9110 5.1", "GET / HTTP/1.1\r\nHOST: a\r\nX-CamelCase_^|~: V\r\n\r\n",
     "head GET / 1.1\n  host: a\n  x-camelcase_^|~: V\nend\n"},
    {"ValuesWithoutOuterSpace", "9112 5.1",
     "GET / HTTP/1.1\r\nHost:a\r\nA: \t b \t c \t \r\nB:\t\r\nC:  \r\n\r\n",
     "head GET / 1.1\n  host: a\n  a: b \t c\n  b: \n  c: \nend\n"},
    {"EmptyValue", "9110 5.5", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \r\nZ: z\r\n\r\n",
     "head GET / 1.1\n  host: a\n  x: \n  y: \n  z: z\nend\n"},
    {"ObsText", "9110 5.5", "GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\xc3\xa9\r\n\r\n",
     "head GET / 1.1\n  host: a\n  x: \x80\xff\xc3\xa9\nend\n"},
    {"OrderAndRepetition", "9110 5.3", "GET / HTTP/1.1\r\nB: 1\r\nHost: a\r\nA: 2\r\nB: 3\r\nB: 1\r\n\r\n",
     "head GET / 1.1\n  b: 1\n  host: a\n  a: 2\n  b: 3\n  b: 1\nend\n"},
    {"ColonsInValue", "9112 5", "GET / HTTP/1.1\r\nHost: a\r\nX:::\r\n\r\n",
     "head GET / 1.1\n  host: a\n  x: ::\nend\n"},
    {"NoFieldsInHttp10", "9112 3.2", "GET / HTTP/1.0\r\n\r\n", "head GET / 1.0\nend\nclose\n"},
    {"EmptyHost", "9112 3.2", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "head GET / 1.1\n  host: \nend\n"},
    {"Ipv6Host", "9110 7.2", "GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n",
     "head GET / 1.1\n  host: [::1]:8000\nend\n"},
    {"ContinueExpected", "9110 10.1.1",
     "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
     "head POST / 1.1\n  host: a\n  expect: 100-Continue\n  content-length: 1\nlength "
     "1\nexpects-continue\n"
     "body x\nend\n"},
    {"ExpectIsIgnoredInHttp10", "9110 10.1.1",
     "POST / HTTP/1.0\r\nExpect: 100-continue, x\r\nContent-Length: 1\r\n\r\nx",
     "head POST / 1.0\n  expect: 100-continue, x\n  content-length: 1\nlength 1\nbody x\nend\nclose\n"},
};
INSTANTIATE_TEST_SUITE_P(Fields, Http1Codec, testing::ValuesIn(kFields), name_of);

const Case kReuse[] = {
    {"KeepsHttp11", "9112 9.3", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET /1 1.1\n  host: a\nend\nhead GET /2 1.1\n  host: a\nend\n"},
    {"CloseEndsIt", "9112 9.6", "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\n",
     "head GET /1 1.1\n  host: a\n  connection: close\nend\nclose\n"},
    {"CloseInAList", "9110 7.6.1", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE ,y\r\n\r\n",
     "head GET / 1.1\n  host: a\n  connection: x, CLOSE ,y\nend\nclose\n"},
    {"CloseInASecondField", "9110 5.3",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
     "head GET / 1.1\n  host: a\n  connection: keep-alive\n  connection: close\nend\nclose\n"},
    {"ClosedIsAnotherToken", "9110 7.6.1", "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n",
     "head GET / 1.1\n  host: a\n  connection: closed\nend\n"},
    {"ClosesHttp10", "9112 9.3", "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
     "head GET /1 1.0\nend\nclose\n"},
    {"KeepsHttp10ThatAsks", "9112 9.3",
     "GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
     "head GET /1 1.0\n  connection: Keep-Alive\nend\nhead GET /2 1.0\nend\nclose\n"},
    {"CloseWinsInHttp10", "9112 9.3", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
     "head GET / 1.0\n  connection: keep-alive, close\nend\nclose\n"},
    {"PipelineOfAllKinds", "9112 9.3.2",
     "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
     "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"
     "HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n"
     "PUT /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
     "GET /5 HTTP/1.0\r\n\r\n",
     "head GET /1 1.1\n  host: a\nend\n"
     "head POST /2 1.1\n  host: a\n  transfer-encoding: chunked\nchunked\nbody abc\nend\n"
     "head HEAD /3 1.1\n  host: a\nend\n"
     "head PUT /4 1.1\n  host: a\n  content-length: 5\nlength 5\nbody hello\nend\n"
     "head GET /5 1.0\nend\nclose\n"},
};
INSTANTIATE_TEST_SUITE_P(Reuse, Http1Codec, testing::ValuesIn(kReuse), name_of);

const Case kBodies[] = {
    {"ContentLength", "9112 6.2", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
     "head POST / 1.1\n  host: a\n  content-length: 5\nlength 5\nbody hello\nend\n"},
    {"LengthZero", "9112 6.3", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
     "head POST / 1.1\n  host: a\n  content-length: 0\nlength 0\nend\n"},
    {"LengthWithZeros", "9112 6.3", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0001\r\n\r\nx",
     "head POST / 1.1\n  host: a\n  content-length: 0001\nlength 1\nbody x\nend\n"},
    {"PostWithoutLength", "9112 6.3", "POST / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head POST / 1.1\n  host: a\nend\nhead GET / 1.1\n  host: a\nend\n"},
    {"GetWithBody", "9110 9.3.1",
     "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET / 1.1\n  host: a\n  content-length: 1\nlength 1\nbody x\nend\n"
     "head GET / 1.1\n  host: a\nend\n"},
    {"HeadWithBody", "9110 9.3.2",
     "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\nHost: a\r\n\r\n",
     "head HEAD / 1.1\n  host: a\n  content-length: 1\nlength 1\nbody x\nend\n"
     "head GET / 1.1\n  host: a\nend\n"},
    {"LengthInHttp10", "9112 6.3", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
     "head POST / 1.0\n  content-length: 2\nlength 2\nbody hi\nend\nclose\n"},
    {"BodyThatLooksLikeARequest", "9112 6.3",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
     "head POST / 1.1\n  host: a\n  content-length: 18\nlength 18\nbody GET / HTTP/1.1\r\n\r\n\nend\n"},
    {"UnfinishedBody", "9112 8", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
     "head POST / 1.1\n  host: a\n  content-length: 5\nlength 5\nbody hel\n"},
    {"Chunks", "9112 7.1", CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
     CHUNKED_HEAD "body hello world\nend\n"},
    {"ChunkSizesInAnyCase", "9112 7.1", CHUNKED "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
     CHUNKED_HEAD "body 01234567890123456789\nend\n"},
    {"ChunkSizesWithZeros", "9112 7.1", CHUNKED "0005\r\nhello\r\n000\r\n\r\n",
     CHUNKED_HEAD "body hello\nend\n"},
    {"NoChunkButTheLast", "9112 7.1", CHUNKED "0\r\n\r\n", CHUNKED_HEAD "end\n"},
    {"ChunkWithLineBreaks", "9112 7.1", CHUNKED "4\r\n\r\n\r\n\r\n0\r\n\r\n",
     CHUNKED_HEAD "body \r\n\r\n\nend\n"},
    {"CodingInAnyCase", "9112 7",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChUnKeD\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     "head POST / 1.1\n  host: a\n  transfer-encoding: ChUnKeD\nchunked\nbody x\nend\n"},
    {"ChunkExtensions", "9112 7.1.1", CHUNKED "1;a;b=c;d=\"e;\\\"f\"\r\nx\r\n0;last=1\r\n\r\n",
     CHUNKED_HEAD "body x\nend\n"},
    {"TrailersAreNeverAddedToTheHead", "9110 6.5.1",
     CHUNKED "1\r\nx\r\n0\r\nHost: evil\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
     CHUNKED_HEAD "body x\nend\nhead GET / 1.1\n  host: a\nend\n"},
    {"UnfinishedTrailers", "9112 8", CHUNKED "1\r\nx\r\n0\r\nX: y\r\n", CHUNKED_HEAD "body x\n"},
    {"UpgradeIsAPlainRequest", "9110 7.8",
     "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 "
     "HTTP/1.1\r\nHost: a\r\n\r\n",
     "head GET /1 1.1\n  host: a\n  connection: Upgrade\n  upgrade: websocket\nend\n"
     "head GET /2 1.1\n  host: a\nend\n"},
    {"UpgradeWithLength", "9110 7.8",
     "POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabc"
     "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
     "head POST /1 1.1\n  host: a\n  connection: Upgrade\n  upgrade: x\n  content-length: 3\nlength 3\n"
     "body abc\nend\nhead GET /2 1.1\n  host: a\nend\n"},
    {"UpgradeWithChunks", "9110 7.8",
     "POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
     "head POST /1 1.1\n  host: a\n  connection: Upgrade\n  upgrade: x\n  transfer-encoding: "
     "chunked\nchunked\n"
     "body abc\nend\nhead GET /2 1.1\n  host: a\nend\n"},
    {"UpgradeToH2cIsAPlainRequest", "9113 3.1",
     "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
     "AA\r\n\r\n",
     "head GET /1 1.1\n  host: a\n  connection: Upgrade, HTTP2-Settings\n  upgrade: h2c\n"
     "  http2-settings: AA\nend\n"},
};
INSTANTIATE_TEST_SUITE_P(Body, Http1Codec, testing::ValuesIn(kBodies), name_of);

// --- What is refused before a head ---------------------------------------------------------

const Case kBadLines[] = {
    {"BareLf", "9112 2.2", "GET / HTTP/1.1\nHost: a\n\n", "fail 400\n"},
    {"BareLfAfterOneByteMore", "9112 2.2", "GET / HTTP/1.1x\nHost: a\r\n\r\n", "fail 400\n"},
    {"BareCr", "9112 2.2", "GET / HTTP/1.1\rHost: a\r\r", "fail 400\n"},
    {"BareCrInTarget", "9112 2.2", "GET /\rx HTTP/1.1\r\n", "fail 400\n"},
    {"CrCrLf", "9112 2.2", "GET / HTTP/1.1\r\r\n", "fail 400\n"},
    {"LeadingBareLf", "9112 2.2", "\nGET / HTTP/1.1\r\n", "fail 400\n"},
    {"LeadingBareCr", "9112 2.2", "\rGET / HTTP/1.1\r\n", "fail 400\n"},
    {"LeadingSpace", "9112 3", " GET / HTTP/1.1\r\n", "fail 400\n"},
    {"TooManyEmptyLines", "9112 2.2", "\r\n\r\n\r\n\r\n\r\n", "fail 400\n"},
    {"NoVersion", "9112 2.3", "GET /\r\n", "fail 400\n"},
    {"NoTarget", "9112 3", "GET\r\n", "fail 400\n"},
    {"EmptyTarget", "9112 3", "GET  HTTP/1.1\r\n", "fail 400\n"},
    {"TwoSpacesBeforeTarget", "9112 3", "GET  / HTTP/1.1\r\n", "fail 400\n"},
    {"TwoSpacesBeforeVersion", "9112 3", "GET /  HTTP/1.1\r\n", "fail 400\n"},
    {"SpaceAfterVersion", "9112 3", "GET / HTTP/1.1 \r\n", "fail 400\n"},
    {"SpaceInTarget", "9112 3.2", "GET /a b HTTP/1.1\r\n", "fail 400\n"},
    {"TabForSpace", "9112 3", "GET\t/ HTTP/1.1\r\n", "fail 400\n"},
    {"TabBeforeVersion", "9112 3", "GET /\tHTTP/1.1\r\n", "fail 400\n"},
    {"EmptyMethodAndMore", "9112 3.1", "/ HTTP/1.1\r\n", "fail 400\n"},
    {"MethodThatIsNoToken", "9110 9.1", "GE(T) / HTTP/1.1\r\n", "fail 400\n"},
    {"MethodWithNul", "9110 9.1", "GE\0T / HTTP/1.1\r\n"sv, "fail 400\n"},
    {"MethodTooLong", "9112 3",
     "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\r\n", "fail 501\n"},
    {"MethodTooLongBeforeBareCr", "9112 3",
     "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\rX\r\n", "fail 501\n"},
    {"TlsClientHello", "9112 3.1", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv, "fail 400\n"},
    {"NulInTarget", "9112 3.2", "GET /\0 HTTP/1.1\r\n"sv, "fail 400\n"},
    {"DelInTarget", "9112 3.2", "GET /\x7f HTTP/1.1\r\n", "fail 400\n"},
    {"FragmentInTarget", "9110 4.2.5", "GET /#f HTTP/1.1\r\n", "fail 400\n"},
    {"TargetWithoutSlash", "9112 3.2", "GET a HTTP/1.1\r\n", "fail 400\n"},
    {"AsteriskForGet", "9112 3.2.4", "GET * HTTP/1.1\r\n", "fail 400\n"},
    {"AuthorityForGet", "9112 3.2.3", "GET a:80 HTTP/1.1\r\n", "fail 400\n"},
    {"AbsoluteFormWithUserinfo", "9110 4.2.4", "GET http://u@a/ HTTP/1.1\r\n", "fail 400\n"},
    {"AbsoluteFormWithoutHost", "9110 4.2.1", "GET http:///p HTTP/1.1\r\n", "fail 400\n"},
    {"AbsoluteFormOfAnotherScheme", "9112 3.2.2", "GET ftp://a/p HTTP/1.1\r\n", "fail 400\n"},
    {"Connect", "9110 9.3.6", "CONNECT a:443 HTTP/1.1\r\n", "fail 501\n"},
    {"ConnectInLowerCase", "9110 9.3.6", "connect a:443 HTTP/1.1\r\n", "fail 501\n"},
    {"ConnectWithAPath", "9110 9.3.6", "CONNECT / HTTP/1.1\r\n", "fail 501\n"},
    {"Version20", "9112 2.3", "GET / HTTP/2.0\r\n", "fail 505\n"},
    {"Version09", "9112 2.3", "GET / HTTP/0.9\r\n", "fail 505\n"},
    {"Version12", "9112 2.3", "GET / HTTP/1.2\r\n", "fail 505\n"},
    {"Version30", "9112 2.3", "GET / HTTP/3.0\r\n", "fail 505\n"},
    {"Http2Preface", "9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "fail 505\n"},
    {"VersionInLowerCase", "9112 2.3", "GET / http/1.1\r\n", "fail 400\n"},
    {"VersionWithTwoDigits", "9112 2.3", "GET / HTTP/1.10\r\n", "fail 400\n"},
    {"VersionWithoutMinor", "9112 2.3", "GET / HTTP/1\r\n", "fail 400\n"},
    {"VersionWithComma", "9112 2.3", "GET / HTTP/1,1\r\n", "fail 400\n"},
    {"VersionOfSigns", "9112 2.3", "GET / HTTP/+1.1\r\n", "fail 400\n"},
    {"OtherProtocol", "9112 2.3", "GET / RTSP/1.0\r\n", "fail 400\n"},
    {"OtherProtocolForItsMethod", "9112 2.3", "PLAY / RTSP/1.0\r\n", "fail 400\n"},
    {"ResponseLine", "9112 3", "HTTP/1.1 200 OK\r\n", "fail 400\n"},
};
INSTANTIATE_TEST_SUITE_P(BadLine, Http1Codec, testing::ValuesIn(kBadLines), name_of);

const Case kBadFields[] = {
    {"NoHost", "9112 3.2", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "fail 400\n"},
    {"NoHostForAbsoluteForm", "9112 3.2", "GET http://a/ HTTP/1.1\r\n\r\n", "fail 400\n"},
    {"TwoHosts", "9112 3.2", GET "Host: a\r\n\r\n", "fail 400\n"},
    {"TwoHostsInHttp10", "9112 3.2", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "fail 400\n"},
    {"HostWithPath", "9112 3.2", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "fail 400\n"},
    {"HostWithSpace", "9112 3.2", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "fail 400\n"},
    {"HostList", "9112 3.2", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "fail 400\n"},
    {"HostWithUserinfo", "9112 3.2", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "fail 400\n"},
    {"HostWithWrongPort", "9112 3.2", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", "fail 400\n"},
    {"HostWithObsText", "9112 3.2", "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", "fail 400\n"},
    {"InvalidHostBesideAbsoluteForm", "9112 3.2", "GET http://a/ HTTP/1.1\r\nHost: b/\r\n\r\n", "fail 400\n"},
    {"InvalidHostInHttp10", "9112 3.2", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "fail 400\n"},
    {"SpaceBeforeColon", "9112 5.1", GET "X : y\r\n\r\n", "fail 400\n"},
    {"TabBeforeColon", "9112 5.1", GET "X\t: y\r\n\r\n", "fail 400\n"},
    {"SpaceBeforeFirstField", "9112 2.2", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "fail 400\n"},
    {"TabBeforeFirstField", "9112 2.2", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "fail 400\n"},
    {"ObsFold", "9112 5.2", GET "X: y\r\n z\r\n\r\n", "fail 400\n"},
    {"ObsFoldByTab", "9112 5.2", GET "X: y\r\n\tz\r\n\r\n", "fail 400\n"},
    {"ObsFoldOfNothing", "9112 5.2", GET "X: y\r\n \r\n\r\n", "fail 400\n"},
    {"ObsFoldAfterEmptyValue", "9112 5.2", GET "X:\r\n y\r\n\r\n", "fail 400\n"},
    {"NoColon", "9112 5", GET "X\r\n\r\n", "fail 400\n"},
    {"EmptyName", "9112 5", GET ": y\r\n\r\n", "fail 400\n"},
    {"NameWithBrackets", "9110 5.1", GET "X[a]: y\r\n\r\n", "fail 400\n"},
    {"NameWithSpace", "9110 5.1", GET "X Y: z\r\n\r\n", "fail 400\n"},
    {"NameWithNul", "9110 5.1", GET "X\0: y\r\n\r\n"sv, "fail 400\n"},
    {"NameWithObsText", "9110 5.1", GET "X\xe9: y\r\n\r\n", "fail 400\n"},
    {"ValueWithNul", "9110 5.5", GET "X: a\0b\r\n\r\n"sv, "fail 400\n"},
    {"ValueWithEscape", "9110 5.5", GET "X: a\x1b[b\r\n\r\n", "fail 400\n"},
    {"ValueWithDel", "9110 5.5", GET "X: a\x7f\r\n\r\n", "fail 400\n"},
    {"ValueWithVerticalTab", "9110 5.5", GET "X: a\x0b\r\n\r\n", "fail 400\n"},
    {"BareCrInValue", "9112 2.2", GET "X: a\rY: b\r\n\r\n", "fail 400\n"},
    {"BareCrBeforeName", "9112 2.2", GET "\rX: a\r\n\r\n", "fail 400\n"},
    {"BareLfAfterValue", "9112 2.2", GET "X: a\nY: b\r\n\r\n", "fail 400\n"},
    {"BareLfAfterEmptyValue", "9112 2.2", GET "X:\nY: b\r\n\r\n", "fail 400\n"},
    {"BareLfAtTheEnd", "9112 2.2", GET "X: a\r\n\n", "fail 400\n"},
    {"CrCrLfAfterValue", "9112 2.2", GET "X: a\r\r\n\r\n", "fail 400\n"},
    {"UnknownExpectation", "9110 10.1.1", POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", "fail 417\n"},
    {"OneUnknownExpectation", "9110 10.1.1", POST "Expect: 100-continue, x=y\r\n\r\n", "fail 417\n"},
};
INSTANTIATE_TEST_SUITE_P(BadField, Http1Codec, testing::ValuesIn(kBadFields), name_of);

const Case kBadFraming[] = {
    {"LengthThenCoding", "9112 6.3", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "fail 400\n"},
    {"CodingThenLength", "9112 6.3", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
     "fail 400\n"},
    {"CodingAndLengthZero", "9112 6.3", POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
     "fail 400\n"},
    {"TwoLengths", "9112 6.3", POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", "fail 400\n"},
    {"TwoEqualLengths", "9112 6.3", POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "fail 400\n"},
    {"ListOfLengths", "9112 6.3", POST "Content-Length: 1, 1\r\n\r\nx", "fail 400\n"},
    {"EmptyLength", "9110 8.6", POST "Content-Length:\r\n\r\n", "fail 400\n"},
    {"LengthOfSpaces", "9110 8.6", POST "Content-Length:  \r\n\r\n", "fail 400\n"},
    {"PlusLength", "9110 8.6", POST "Content-Length: +1\r\n\r\nx", "fail 400\n"},
    {"MinusLength", "9110 8.6", POST "Content-Length: -1\r\n\r\nx", "fail 400\n"},
    {"HexLength", "9110 8.6", POST "Content-Length: 0x1\r\n\r\nx", "fail 400\n"},
    {"LengthWithSpace", "9110 8.6", POST "Content-Length: 1 1\r\n\r\nx", "fail 400\n"},
    {"LengthWithLetters", "9110 8.6", POST "Content-Length: 1a\r\n\r\nx", "fail 400\n"},
    {"FractionalLength", "9110 8.6", POST "Content-Length: 1.0\r\n\r\nx", "fail 400\n"},
    {"HugeLength", "9110 8.6", POST "Content-Length: 18446744073709551616\r\n\r\nx", "fail 400\n"},
    {"VeryHugeLength", "9110 8.6", POST "Content-Length: 99999999999999999999999999\r\n\r\nx", "fail 400\n"},
    {"SpaceBeforeColonOfLength", "9112 5.1", POST "Content-Length : 1\r\n\r\nx", "fail 400\n"},
    {"FoldedCoding", "9112 5.2", POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"CodingInHttp10", "9112 6.1", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "fail 400\n"},
    {"CodingAndLengthInHttp10", "9112 6.1",
     "POST / HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"EmptyCoding", "9112 6.1", POST "Transfer-Encoding:\r\n\r\n", "fail 400\n"},
    {"ChunkedTwice", "9112 6.1", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"ChunkedInTwoFields", "9112 6.1",
     POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"ChunkedIsNotLast", "9112 6.3", POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"ChunkedIsNotInTheLastField", "9112 6.3",
     POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"NoChunked", "9112 6.3", POST "Transfer-Encoding: gzip\r\n\r\n", "fail 400\n"},
    {"Identity", "9112 6.3", POST "Transfer-Encoding: identity\r\n\r\n", "fail 400\n"},
    {"AlmostChunked", "9112 6.3", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"ChunkedAndMore", "9112 6.3", POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"ChunkedWithParameter", "9112 7.1", POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
     "fail 400\n"},
    {"QuotedChunked", "9112 6.1", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "fail 400\n"},
    {"ChunkedWithVerticalTab", "9110 5.5",
     POST "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n",
     "fail 400\n"},
    {"ChunkedAndEmptyElement", "9110 5.6.1", POST "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
     "fail 400\n"},
    {"EmptyElementAndChunked", "9110 5.6.1", POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
     "fail 400\n"},
    {"UnknownCoding", "9112 6.1", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "fail 501\n"},
    {"UnknownCodingWithParameter", "9112 6.1", POST "Transfer-Encoding: x;y=z, chunked\r\n\r\n0\r\n\r\n",
     "fail 501\n"},
    {"UnknownCodingInItsOwnField", "9112 6.1",
     POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "fail 501\n"},
    {"IdentityAndChunked", "9112 6.1", POST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
     "fail 501\n"},
};
INSTANTIATE_TEST_SUITE_P(BadFraming, Http1Codec, testing::ValuesIn(kBadFraming), name_of);

// --- What is refused after a head ----------------------------------------------------------

const Case kBadChunks[] = {
    {"NoHexDigit", "9112 7.1", CHUNKED "g\r\n", CHUNKED_HEAD "fail 400\n"},
    {"NoSize", "9112 7.1", CHUNKED "\r\n", CHUNKED_HEAD "fail 400\n"},
    {"NoSizeButExtension", "9112 7.1", CHUNKED ";a\r\n", CHUNKED_HEAD "fail 400\n"},
    {"HexPrefix", "9112 7.1", CHUNKED "0x1\r\nx\r\n", CHUNKED_HEAD "fail 400\n"},
    {"PlusSize", "9112 7.1", CHUNKED "+1\r\nx\r\n", CHUNKED_HEAD "fail 400\n"},
    {"MinusSize", "9112 7.1", CHUNKED "-1\r\nx\r\n", CHUNKED_HEAD "fail 400\n"},
    {"SpaceBeforeSize", "9112 7.1", CHUNKED " 1\r\nx\r\n", CHUNKED_HEAD "fail 400\n"},
    {"SpaceAfterSize", "9112 7.1", CHUNKED "1 \r\nx\r\n", CHUNKED_HEAD "fail 400\n"},
    {"HugeSize", "9112 7.1", CHUNKED "10000000000000000\r\n", CHUNKED_HEAD "fail 400\n"},
    {"BareLfAfterSize", "9112 7.1", CHUNKED "1\nx\r\n0\r\n\r\n", CHUNKED_HEAD "fail 400\n"},
    {"BareCrAfterSize", "9112 7.1", CHUNKED "1\rx\r\n0\r\n\r\n", CHUNKED_HEAD "fail 400\n"},
    {"BareLfAfterData", "9112 7.1", CHUNKED "1\r\nx\n0\r\n\r\n", CHUNKED_HEAD "body x\nfail 400\n"},
    {"NothingAfterData", "9112 7.1", CHUNKED "1\r\nx0\r\n\r\n", CHUNKED_HEAD "body x\nfail 400\n"},
    {"WrongBytesAfterData", "9112 7.1", CHUNKED "1\r\nxXX0\r\n\r\n", CHUNKED_HEAD "body x\nfail 400\n"},
    {"LongerThanItsSize", "9112 7.1", CHUNKED "1\r\nxy\r\n0\r\n\r\n", CHUNKED_HEAD "body x\nfail 400\n"},
    {"BareLfInExtension", "9112 7.1.1", CHUNKED "1;a\nx\r\n0\r\n\r\n", CHUNKED_HEAD "fail 400\n"},
    {"BareCrInExtension", "9112 7.1.1", CHUNKED "1;a\rx\r\n0\r\n\r\n", CHUNKED_HEAD "fail 400\n"},
    {"NulInExtension", "9112 7.1.1", CHUNKED "1;a\0\r\nx\r\n0\r\n\r\n"sv, CHUNKED_HEAD "fail 400\n"},
    {"BareLfInQuotedExtension", "9112 7.1.1", CHUNKED "1;a=\"\n\"\r\nx\r\n0\r\n\r\n",
     CHUNKED_HEAD "fail 400\n"},
    {"BareLfAfterTheLast", "9112 7.1", CHUNKED "0\n\n", CHUNKED_HEAD "fail 400\n"},
    {"BareLfAtTheEnd", "9112 7.1", CHUNKED "0\r\n\n", CHUNKED_HEAD "fail 400\n"},
    {"NoEmptyLineAtTheEnd", "9112 7.1", CHUNKED "0\r\nGET / HTTP/1.1\r\n", CHUNKED_HEAD "fail 400\n"},
    {"FoldedTrailer", "9112 5.2", CHUNKED "0\r\nX: y\r\n z\r\n\r\n", CHUNKED_HEAD "fail 400\n"},
    {"TrailerWithoutColon", "9112 7.1.2", CHUNKED "0\r\nX\r\n\r\n", CHUNKED_HEAD "fail 400\n"},
    {"TrailerWithSpaceBeforeColon", "9112 5.1", CHUNKED "0\r\nX : y\r\n\r\n", CHUNKED_HEAD "fail 400\n"},
    {"TrailerWithNul", "9110 5.5", CHUNKED "0\r\nX: \0\r\n\r\n"sv, CHUNKED_HEAD "fail 400\n"},
    {"JunkAfterTheBody", "9112 6.3", POST "Content-Length: 1\r\n\r\nx\x01\x02",
     "head POST / 1.1\n  host: a\n  content-length: 1\nlength 1\nbody x\nend\nfail 400\n"},
    {"JunkAfterChunks", "9112 6.3", CHUNKED "0\r\n\r\n(junk)", CHUNKED_HEAD "end\nfail 400\n"},
    {"SecondRequestIsBad", "9112 2.2", GET "\r\nGET / HTTP/1.1\r\n\r\n",
     "head GET / 1.1\n  host: a\nend\nfail 400\n"},
};
INSTANTIATE_TEST_SUITE_P(BadChunk, Http1Codec, testing::ValuesIn(kBadChunks), name_of);

}  // namespace
}  // namespace fasterapi::http1
