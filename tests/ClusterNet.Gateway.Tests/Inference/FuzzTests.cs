using System.Text;
using ClusterNet.Gateway.Grpc;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Inference;
using CsCheck;
using Google.Protobuf;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>Whatever a caller sends, it is a request or it is refused as the caller's fault: no crash, no error of the server's own, no memory beyond what was sent.</summary>
[Trait("Category", "Fuzz")]
public sealed class FuzzTests
{
    private static readonly string[] _json =
    [
        """{"id":"1","inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[[[0.25,1,2],[3,4,5]]]}],"outputs":[{"name":"probabilities","parameters":{"classification":2}},{"name":"class","parameters":{"binary_data":true}}],"parameters":{"priority":1,"timeout":100,"key":"k"}}""",
        """{"inputs":[{"data":[1,2,3,4,5,6],"datatype":"INT64","shape":[2,3],"name":"prepared"}]}""",
        """{"inputs":[{"name":"age","shape":[2],"datatype":"FP64","data":[0.1,null]},{"name":"sex","shape":[2,1],"datatype":"BYTES","data":["f","ä\n"]}],"parameters":{"binary_data_output":true}}""",
        """{"model_name":"x","inputs":[{"name":"prepared","shape":[1,3],"datatype":"BOOL","parameters":{"x":[1,{"y":2}]},"data":[true,false,true]}]}""",
        """{"inputs":[{"name":"INPUT0","shape":[1,16],"datatype":"INT32","data":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]},{"name":"INPUT1","shape":[1,16],"datatype":"INT32","data":[[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2147483647]]}],"outputs":[{"name":"OUTPUT1"}]}""",
        """{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","parameters":{"shared_memory_region":"r","shared_memory_offset":8,"shared_memory_byte_size":24}}],"outputs":[{"name":"probabilities","parameters":{"shared_memory_region":"r","shared_memory_byte_size":90}}]}""",
        """{"inputs":[{"name":"INPUT","shape":[1,1],"datatype":"INT32","data":[7]}],"parameters":{"sequence_id":5,"sequence_start":true,"sequence_end":false}}""",
        """{"inputs":[{"name":"INPUT0","shape":[2,2],"datatype":"BYTES","data":["a","","\u0000","\"ä"]}],"parameters":{"binary_data_output":true}}""",
    ];

    private static readonly Gen<string> _types = Fuzz.OneOf("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "BF16", "FP32", "FP64", "BYTES", "FP8", "");

    private static readonly Gen<long> _axes = Gen.Frequency((10, Gen.Long[0, 7]), (2, Gen.Const(16L)), (1, Fuzz.OneOf<long>(-1L, long.MinValue, long.MaxValue, int.MaxValue, 1L << 32, 65537, 1001)));

    private static readonly Gen<string> _names = Fuzz.OneOf("INPUT0", "INPUT1", "INPUT", "prepared", "age", "sex", "", "age2", "\ud83d\ude00");

    [Fact]
    public void JSON_is_a_request_or_refused() =>
        Gen.Select(Fuzz.Changed([.. _json.Select(Encoding.UTF8.GetBytes)]), Gen.Int[0, Fuzz.Plans.Length - 1], Gen.Frequency((8, Gen.Const((long?)null)), (1, Gen.Long[-1, 400].Select(length => (long?)length)), (1, Gen.Long.Select(length => (long?)length)))).Sample(
            (body, plan, length) => Fuzz.Check(Fuzz.Plans[plan], known => JsonRequestReader.Read(body, length, known, Fuzz.Settings, Fuzz.Memory)),
            iter: Fuzz.Inputs,
            print: sample => $"{Encoding.UTF8.GetString(sample.Item1)} ({sample.Item2}, {sample.Item3})");

    [Fact]
    public void Bytes_behind_JSON_are_values_or_refused()
    {
        var inputs = Gen.Select(_names, _types, _axes.Array[0, 4], Gen.Frequency((4, Gen.Const(-1L)), (1, Gen.Long[0, 200]), (1, Gen.Long))).Array[0, 3];
        Gen.Select(inputs, Gen.Byte.Array[0, 200], Gen.Int[0, Fuzz.Plans.Length - 1], Gen.Int[-1, 1]).Sample(
            (tensors, bytes, plan, shift) =>
            {
                var json = Encoding.UTF8.GetBytes("{\"inputs\":[" + string.Join(",", tensors.Select(tensor =>
                    $$"""{"name":"{{tensor.Item1}}","datatype":"{{tensor.Item2}}","shape":[{{string.Join(",", tensor.Item3)}}],"parameters":{"binary_data_size":{{PromisedBy(tensor)}} } }""")) + "]}");
                // as much as was promised, so that values are reached, but for the last byte now and then
                var promised = tensors.Sum(tensor => Math.Clamp(PromisedBy(tensor), 0, 400));
                byte[] body = [.. json, .. Enumerable.Range(0, (int)Math.Max(0, promised + (shift < 0 ? shift : 0))).Select(i => bytes.Length == 0 ? (byte)0 : bytes[i % bytes.Length])];
                Fuzz.Check(Fuzz.Plans[plan], known => JsonRequestReader.Read(body, json.Length, known, Fuzz.Settings, Fuzz.Memory));
            },
            iter: Fuzz.Inputs);
    }

    [Fact]
    public void Messages_of_gRPC_are_requests_or_refused()
    {
        var contents = Gen.Select(Gen.Int[0, 8], Gen.Int[0, 8], Gen.Double, Gen.Long).Select((list, count, number, whole) =>
        {
            var made = new InferTensorContents();
            for (var i = 0; i < count; i++)
            {
                switch (list)
                {
                    case 0:
                        made.BoolContents.Add(whole > 0);
                        break;
                    case 1:
                        made.IntContents.Add((int)whole);
                        break;
                    case 2:
                        made.Int64Contents.Add(whole);
                        break;
                    case 3:
                        made.UintContents.Add((uint)whole);
                        break;
                    case 4:
                        made.Uint64Contents.Add((ulong)whole);
                        break;
                    case 5:
                        made.Fp32Contents.Add((float)number);
                        break;
                    case 6:
                        made.Fp64Contents.Add(number);
                        break;
                    default:
                        made.BytesContents.Add(ByteString.CopyFrom(BitConverter.GetBytes(whole)));
                        break;
                }
            }
            return made;
        });
        var parameter = Gen.Select(Fuzz.OneOf("priority", "timeout", "key", "triton_enable_empty_final_response", "sequence_id", "sequence_start", "sequence_end"), Gen.Int[0, 5], Gen.Long).Select((name, kind, value) => (name, kind switch
        {
            0 => new InferParameter { BoolParam = value > 0 },
            1 => new InferParameter { Int64Param = value },
            2 => new InferParameter { StringParam = $"{value}" },
            3 => new InferParameter { DoubleParam = value },
            4 => new InferParameter { Uint64Param = (ulong)value },
            _ => new InferParameter(),
        }));
        var part = Gen.Select(Fuzz.OneOf("r", "q"), Fuzz.OneOf(0L, 8L, -1L, long.MaxValue), Gen.Long[0, 100], Gen.Int[0, 19]);
        var tensor = Gen.Select(_names, _types, _axes.Array[0, 4], contents, Gen.Bool, part);
        Gen.Select(tensor.Array[0, 3], Gen.Byte.Array[0, 60].Array[0, 3], parameter.Array[0, 3], Fuzz.OneOf("probabilities", "class", "OUTPUT0", "x").Array[0, 2], Gen.Int[0, Fuzz.Plans.Length - 1], Gen.Bool).Sample(
            (tensors, raw, parameters, outputs, plan, isRaw) =>
            {
                var message = new ModelInferRequest { ModelName = "simple" };
                foreach (var (name, type, shape, values, hasContents, (region, offset, size, share)) in tensors)
                {
                    var input = new ModelInferRequest.Types.InferInputTensor { Name = name, Datatype = type, Shape = { shape }, Contents = share > 1 && (hasContents || !isRaw) ? values : null };
                    message.Inputs.Add(input);
                    if (share > 1)
                        continue;
                    input.Parameters["shared_memory_region"] = new InferParameter { StringParam = region };
                    input.Parameters["shared_memory_offset"] = new InferParameter { Int64Param = offset };
                    input.Parameters["shared_memory_byte_size"] = new InferParameter { Int64Param = share == 0 ? size : SizeOf(type, shape) };
                }
                if (isRaw)
                    message.RawInputContents.AddRange(tensors.Where(sent => sent.Item6.Item4 > 1).Select((shaped, i) => ByteString.CopyFrom(new byte[Math.Clamp(SizeOf(shaped.Item2, shaped.Item3), 0, 400)].Select((_, at) => i < raw.Length && raw[i].Length > 0 ? raw[i][at % raw[i].Length] : (byte)0).ToArray())));
                foreach (var (name, value) in parameters)
                    message.Parameters[name] = value;
                message.Outputs.AddRange(outputs.Select(name => new ModelInferRequest.Types.InferRequestedOutputTensor { Name = name }));
                Fuzz.Check(Fuzz.Plans[plan], known => GrpcRequestReader.Read(message, known, Fuzz.Settings, Fuzz.Memory));
            },
            iter: Fuzz.Inputs);
    }

    private static long PromisedBy((string Name, string Type, long[] Shape, long Size) tensor) => tensor.Size < 0 ? SizeOf(tensor.Type, tensor.Shape) : tensor.Size;

    private static long SizeOf(string type, long[] shape)
    {
        var elements = shape.Aggregate(1L, (product, axis) => unchecked(product * axis));
        return Math.Max(0, unchecked(elements * type switch
        {
            "BOOL" or "INT8" or "UINT8" => 1,
            "INT16" or "UINT16" or "FP16" or "BF16" => 2,
            "INT64" or "UINT64" or "FP64" => 8,
            _ => 4,
        }));
    }
}
